"""Does a map change when the network forgets what it has learnt? One that does not shows the picture, not the network.

Source: Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity Checks for Saliency Maps", NeurIPS 2018: weights
are randomised from the last layer back to the first ("cascading"), and the map is compared with the original one.

Deviation: a layer's weights are shuffled instead of drawn anew. So every layer keeps its distribution of weights, and a
map changes because what was learnt is gone, not because the layers' outputs are larger or smaller than before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.core.errors import ModelError
from mien.explain.faithfulness import Images, Labels, Maps
from mien.explain.similarity import is_constant, spearman, ssim

if TYPE_CHECKING:
    from torch import nn

# Shares of the layers, from the last one back, after which the maps are compared; 0 is the last layer alone.
STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Sanity:
    """How much maps resemble the original ones after part of the layers was randomised, means over the faces.

    Attributes:
        share: Share of the layers that are random, counted from the output, in (0, 1].
        layer: The layer that was randomised last, by its name in the network.
        spearman: Rank correlation of the maps, in [-1, 1]; 0 where a map became constant.
        ssim: Structural similarity of the maps, in [-1, 1].
    """

    share: float
    layer: str
    spearman: float
    ssim: float


def check_sanity(
    network: nn.Module,
    explain: Callable[[Images, Labels], Maps],
    images: Images,
    labels: Labels,
    seed: int = 0,
) -> tuple[Sanity, ...]:
    """Randomise a network layer by layer and compare its maps with those it made before.

    Args:
        network: Changed in place; hand over a copy.
        explain: Makes maps (n, h, w) of this very network.
        images: (n, c, h, w), normalised.
        labels: (n,) the classes to explain.
        seed: Of the shuffling.
    """
    before = explain(images, labels)
    found = []
    for share, layer in randomize_layers(network, images[:1], seed):
        after = explain(images, labels)
        ranks = [_rank_agreement(one, other) for one, other in zip(before, after, strict=True)]
        structure = [ssim(one, other) for one, other in zip(before, after, strict=True)]
        found.append(Sanity(share, layer, float(np.mean(ranks)), float(np.mean(structure))))
    return tuple(found)


def randomize_layers(network: nn.Module, images: Images, seed: int = 0) -> Iterator[tuple[float, str]]:
    """Shuffle the weights of a network from the last layer back; stop at each of `STOPS`.

    Args:
        network: Changed in place.
        images: (1, c, h, w): run once, to see in which order the layers work.
        seed: Of the shuffling.

    Yields:
        The share of the layers that are random by now, and the name of the last of them.

    Raises:
        ModelError: The network has no weights.
    """
    import torch

    layers = _in_running_order(network, images)[::-1]
    if not layers:
        raise ModelError("The network has no weights to randomise.")
    generator = torch.Generator().manual_seed(seed)
    stops = sorted({max(round(stop * len(layers)), 1) for stop in STOPS})
    for count, (name, layer) in enumerate(layers, 1):
        with torch.no_grad():
            for weights in layer.parameters(recurse=False):
                order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
                weights.copy_(weights.flatten()[order].view_as(weights))
        if count in stops:
            yield count / len(layers), name


def _in_running_order(network: nn.Module, images: Images) -> list[tuple[str, nn.Module]]:
    """Return the modules with weights of their own, as they finish; those that are never called come first."""
    import torch

    named = [(name, module) for name, module in network.named_modules() if any(True for _ in module.parameters(False))]
    finished: dict[int, int] = {}
    calls = itertools.count()

    def note(module: nn.Module, *_: Any) -> None:
        finished[id(module)] = next(calls)

    hooks = [module.register_forward_hook(note) for _, module in named]
    try:
        with torch.no_grad():
            network(torch.from_numpy(images))
    finally:
        for hook in hooks:
            hook.remove()
    return sorted(named, key=lambda pair: finished.get(id(pair[1]), -1))


def _rank_agreement(before: Maps, after: Maps) -> float:
    """Return Spearman's correlation; 0 where the randomised network's map is constant and so tells nothing."""
    if is_constant(before):
        raise ModelError("A map that is the same everywhere cannot be compared; choose faces with another one.")
    return 0.0 if is_constant(after) else spearman(before, after)
