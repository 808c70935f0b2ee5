"""Sanity check: a map that does not change when the network's weights are randomised does not explain the network.

Source: Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity Checks for Saliency Maps", NeurIPS 2018: weights
are randomised from the last layer back to the first ("cascading"), and the map is compared with the original.

Deviation: a layer's weights are shuffled instead of drawn anew, which keeps their distribution. So a map changes
because what was learnt is lost, not because the scale of the layer's output changes.
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

# Shares of the layers, counted from the output, after which maps are compared; 0: the last layer only.
STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Sanity:
    """Similarity to the original maps after part of the layers is randomised; means over the faces.

    Attributes:
        share: Share of randomised layers, counted from the output, in (0, 1].
        layer: Name of the layer that was randomised last.
        spearman: Rank correlation of the maps, in [-1, 1]; 0 if a map became constant.
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
    """Randomise a network layer by layer and compare its maps with the original ones.

    Args:
        network: Changed in place; pass a copy.
        explain: Returns maps (n, h, w) of this network.
        images: (n, c, h, w), normalised.
        labels: (n,) the classes to explain.
        seed: Seed of the shuffling.
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
    """Shuffle the weights of a network from the last layer back; pause at each of `STOPS`.

    Args:
        network: Changed in place.
        images: (1, c, h, w), to find the order in which the layers run.
        seed: Seed of the shuffling.

    Yields:
        The share of randomised layers, and the name of the last one.

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
    """Return the modules with own weights in the order they finish; modules that never run come first."""
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
    """Return Spearman's correlation; 0 if the randomised network's map is constant."""
    if is_constant(before):
        raise ModelError("A constant map cannot be compared; choose other faces.")
    return 0.0 if is_constant(after) else spearman(before, after)
