"""A network's methods as they are measured: maps as large as the picture, and copies of the network to randomise."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from mien.explain.assessment import Method
from mien.explain.faithfulness import Images, Labels, Maps
from mien.explain.methods import STAGE_METHODS, Explainer
from mien.explain.randomization import Sanity, check_sanity


def make_maps(explainer: Explainer, method: str, layer: str | None, images: Images, labels: Labels) -> Maps:
    """Return a method's maps at the pixels of the images: (n, h, w).

    Args:
        explainer: The network.
        method: One of its methods.
        layer: The stage, or the part's name for "parts"; None: the method's own choice.
        images: (n, c, h, w), normalised.
        labels: (n,) the classes to explain.

    Raises:
        ModelError: As `Explainer.explain`.
    """
    height, width = images.shape[2:]
    found = explainer.explain(images, method, layer, labels.tolist())
    return np.stack([one.resized(height, width) for one in found])


def measured_method(
    explainer: Explainer, name: str, layer: str | None, *, use_stability: bool = True, use_sanity: bool = True
) -> Method:
    """Return a network's method, ready to be measured.

    It is called `name`, and `name@layer` where a layer is asked for. The sanity check needs the network's weights, so
    that it is left out for an .onnx file.

    Raises:
        ModelError: No such method, or not for this network.
    """
    explainer.check_method(name)
    stage = layer or (explainer.layers[-1] if name in STAGE_METHODS else "")

    def explain(images: Images, labels: Labels) -> Maps:
        return make_maps(explainer, name, layer, images, labels)

    return Method(
        f"{name}@{layer}" if layer else name,
        stage,
        explain,
        check_sanity=_sanity_check(explainer, name, layer) if use_sanity else None,
        use_stability=use_stability,
    )


def _sanity_check(
    explainer: Explainer, name: str, layer: str | None
) -> Callable[[Images, Labels], tuple[Sanity, ...]] | None:
    if not explainer.layers:
        return None
    from mien.explain.torch_explainer import TorchExplainer

    if not isinstance(explainer, TorchExplainer):
        return None
    network, card, source = explainer.network, explainer.card, explainer.source

    def check(images: Images, labels: Labels) -> tuple[Sanity, ...]:
        other = TorchExplainer(copy.deepcopy(network), card, source)
        return check_sanity(
            other.network, lambda faces, classes: make_maps(other, name, layer, faces, classes), images, labels
        )

    return check
