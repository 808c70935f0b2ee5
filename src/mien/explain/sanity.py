"""Sanity checks of maps: they must follow a shifted face, and change when the network's weights are shuffled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.explain.maps import Images, Labels, Maps
from mien.explain.similarity import is_constant, pearson, spearman, ssim

if TYPE_CHECKING:
    from torch import nn

# (n, c, h, w) normalized images and the classes (n,) to explain -> maps (n, h, w).
Explain = Callable[[Images, Labels], Maps]
# Down, up, right, left; by one pixel each.
SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1))
# Shares of the layers, counted from the output, after which maps are compared; 0: the last layer only.
STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def measure_stability(explain: Explain, images: Images, maps: Maps, labels: Labels) -> NDArray[np.float64]:
    """Return the correlation between maps and those of faces shifted by one pixel, shifted back.

    The output of networks that downsample changes slightly with a shift (Zhang, "Making convolutional networks
    shift-invariant again", ICML 2019); a map that changes a lot reflects the grid more than the face.

    Args:
        explain: Returns maps.
        images: (n, c, h, w), normalized.
        maps: (n, h, w), the maps of the unshifted images.
        labels: (n,) the explained classes, also for the shifted images.

    Returns:
        (n,) the mean Pearson correlation over four shifts, in [-1, 1], on pixels that stay inside the image; NaN for a
        face whose maps are constant.
    """
    found = np.full((len(SHIFTS), len(images)), np.nan)
    for i, (down, right) in enumerate(SHIFTS):
        back = shift(explain(shift(images, down, right), labels), -down, -right)
        found[i] = [pearson(one[1:-1, 1:-1], other[1:-1, 1:-1]) for one, other in zip(maps, back, strict=True)]
    counts = np.isfinite(found).sum(axis=0)
    return np.where(counts > 0, np.nansum(found, axis=0) / np.maximum(counts, 1), np.nan)


def shift(images: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """Shift images (..., h, w) by up to one pixel; border pixels are repeated."""
    height, width = images.shape[-2:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return images[..., rows[:, None], columns[None, :]]


def compare_randomized(
    network: nn.Module, explain: Explain, images: Images, labels: Labels, seed: int = 0
) -> list[dict[str, Any]]:
    """Shuffle a network's weights from the last layer back and compare its maps with the original ones.

    Source: Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity Checks for Saliency Maps", NeurIPS 2018
    ("cascading"): a map that does not change when the weights are randomized does not explain the network.

    Deviation: a layer's weights are shuffled instead of redrawn, which keeps their distribution. So a map changes
    because what was learned is lost, not because the scale of the layer's output changes.

    Args:
        network: Changed in place; pass a copy.
        explain: Returns maps of this network, none of them constant before its weights are shuffled.
        images: (n, c, h, w), normalized.
        labels: (n,) the classes to explain.
        seed: Seed of the shuffling.

    Returns:
        For each of `STOPS` the `share` of shuffled layers, the name of the last `layer`, and the similarity to the
        original maps, a mean over the faces: `spearman` (0 if a map became constant) and `ssim`, in [-1, 1].
    """
    before = explain(images, labels)
    found = []
    for share, layer in shuffle_layers(network, images[:1], seed):
        pairs = list(zip(before, explain(images, labels), strict=True))
        ranks = np.mean([0.0 if is_constant(other) else spearman(one, other) for one, other in pairs])
        structure = np.mean([ssim(one, other) for one, other in pairs])
        found.append({"share": share, "layer": layer, "spearman": float(ranks), "ssim": float(structure)})
    return found


def shuffle_layers(network: nn.Module, images: Images, seed: int = 0) -> Iterator[tuple[float, str]]:
    """Shuffle the weights of a network from the last layer back; pause at each of `STOPS`.

    Args:
        network: Changed in place.
        images: (1, c, h, w), to find the order in which the layers run.
        seed: Seed of the shuffling.

    Yields:
        The share of shuffled layers, and the name of the last one.
    """
    import torch

    layers = _in_running_order(network, images)[::-1]
    generator = torch.Generator().manual_seed(seed)
    stops = {max(round(stop * len(layers)), 1) for stop in STOPS}
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
    with torch.no_grad():
        network(torch.from_numpy(images))
    for hook in hooks:
        hook.remove()
    return sorted(named, key=lambda pair: finished.get(id(pair[1]), -1))
