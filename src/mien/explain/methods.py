"""Explanation methods by name, and the explainer of a network of which only the output is known. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import ModelError, did_you_mean
from mien.explain.maps import ExplanationMap, Images, Labels
from mien.explain.occlusion import occlude
from mien.inference.model import Model

# Gradient methods that give one value per position of a stage.
STAGE_METHODS = ("gradcam", "gradcam++", "layercam")
PARTS = "parts"
METHODS = (*STAGE_METHODS, "integrated_gradients", "occlusion", PARTS)
LARGEST_BATCH = 16


class Explainer:
    """Explains a model by its output alone, such as an .onnx file; `TorchExplainer` also uses gradients and parts.

    Args:
        model: The model.
        source: Its name in errors.
    """

    methods: ClassVar[tuple[str, ...]] = ("occlusion",)
    """The available methods; the first is the default."""
    network: Any = None
    """The torch network, if there is one."""

    def __init__(self, model: Model, source: str) -> None:
        self.model = model
        self.source = source

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.model.card

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in order."""
        return self.card.labels.names

    @property
    def layers(self) -> tuple[str, ...]:
        """The stages that can be explained, in running order; empty if none can."""
        return ()

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Return probabilities (n, labels) of normalized images (n, c, h, w)."""
        return self.model.predict(images).probabilities

    def explain(
        self, images: Images, method: str | None = None, layer: str | None = None, labels: Sequence[int] | None = None
    ) -> list[ExplanationMap]:
        """Return one map per image.

        Args:
            images: (n, c, h, w) float32, normalized: what `to_batch(crops, explainer.card.input)` returns.
            method: One of `methods`; None: the first. "parts" returns one part's own map; see `parts` for all.
            layer: The stage of a stage method, None: the last; the part's name for "parts".
            labels: The class of each image to explain; None: the most probable.

        Raises:
            ModelError: The method, layer or a class does not exist or is not available; the images have another shape.
        """
        name = self.check_method(self.methods[0] if method is None else method)
        if name not in (*STAGE_METHODS, PARTS) and layer is not None:
            raise ModelError(f"'{name}' explains the input image, but layer '{layer}' is given; leave it out.")
        classes: Labels | None = None
        if labels is not None:
            classes = np.asarray(labels, dtype=np.int64)
            if classes.shape != (len(images),) or not np.isin(classes, np.arange(len(self.labels))).all():
                raise ModelError(
                    f"Got labels {list(labels)} for {len(images)} images; expected one per image, from 0 to "
                    f"{len(self.labels) - 1}."
                )
        found: list[ExplanationMap] = []
        for rows, batch in self._batches(images):
            chosen = self.predict(batch).argmax(axis=1) if classes is None else classes[rows]
            found += self._explain(batch, name, layer, chosen)
        return found

    def parts(self, images: Images) -> list[list[ExplanationMap]]:
        """Return for each image the maps by which the network's own parts weight positions.

        Raises:
            ModelError: The network has no such parts, or is an .onnx file.
        """
        self.check_method(PARTS)
        return [maps for _, batch in self._batches(images) for maps in self._parts(batch)]

    def check_method(self, name: str) -> str:
        """Return the name of an available method; `ModelError` lists these."""
        if check_name("method", name, METHODS) not in self.methods:
            raise ModelError(
                f"'{name}' requires a run folder, but {self.source} is an .onnx file: it has no gradients and no "
                f"parts. Available methods: {', '.join(self.methods)}."
            )
        return name

    def check_layer(self, name: str | None) -> str:
        """Return a stage's name, None: the last; `ModelError` lists the stages."""
        return self.layers[-1] if name is None else check_name("layer", name, self.layers)

    def _explain(self, images: Images, method: str, layer: str | None, labels: Labels) -> list[ExplanationMap]:
        """Return the maps of one batch; method and layer are checked already."""
        maps = occlude(self.predict, images, labels)
        return [
            ExplanationMap(method, "", self.labels[label], values, is_signed=True)
            for label, values in zip(labels, maps, strict=True)
        ]

    def _parts(self, images: Images) -> list[list[ExplanationMap]]:
        raise NotImplementedError

    def _batches(self, images: Images) -> Iterator[tuple[slice, Images]]:
        channels = self.card.input.channels
        if images.ndim != 4 or images.shape[1] != channels:
            raise ModelError(f"Images have shape {images.shape}; this network takes (n, {channels}, height, width).")
        for first in range(0, len(images), LARGEST_BATCH):
            rows = slice(first, first + LARGEST_BATCH)
            yield rows, np.ascontiguousarray(images[rows], dtype=np.float32)


def check_name(kind: str, name: str, names: Sequence[str]) -> str:
    """Return a name that is one of `names`; `ModelError` lists these."""
    if name not in names:
        raise ModelError(
            f"No {kind} '{name}'.{did_you_mean(name, names)} {kind.capitalize()}s: {', '.join(names) or 'none'}."
        )
    return name
