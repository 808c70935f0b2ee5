"""Stability of maps: does a map follow the face when it is shifted by one pixel?

The output of networks that downsample changes slightly with a shift (Zhang, "Making convolutional networks
shift-invariant again", ICML 2019); a map that changes a lot reflects the grid more than the face.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.explain.faithfulness import Images, Labels, Maps
from mien.explain.similarity import pearson

# (n, c, h, w) normalised images and the classes (n,) to explain -> maps (n, h, w).
Explain = Callable[[Images, Labels], Maps]
# Down, up, right, left; by one pixel each.
SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def measure_stability(explain: Explain, images: Images, maps: Maps, labels: Labels) -> NDArray[np.float64]:
    """Return the correlation between maps and those of shifted faces, shifted back.

    Args:
        explain: Returns maps (n, h, w).
        images: (n, c, h, w), normalised.
        maps: (n, h, w), the maps of the unshifted images.
        labels: (n,) the explained classes, also for the shifted images.

    Returns:
        (n,) the mean Pearson correlation over four shifts, in [-1, 1], on pixels that stay inside the image; NaN for a
        face whose maps are constant.
    """
    found = np.full((len(SHIFTS), len(images)), np.nan)
    for i, (down, right) in enumerate(SHIFTS):
        moved = explain(shift(images, down, right), labels)
        back = shift(moved, -down, -right)
        found[i] = [pearson(one[1:-1, 1:-1], other[1:-1, 1:-1]) for one, other in zip(maps, back, strict=True)]
    counts = np.isfinite(found).sum(axis=0)
    return np.where(counts > 0, np.nansum(found, axis=0) / np.maximum(counts, 1), np.nan)


def shift(images: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """Shift images (..., h, w) by up to one pixel; border pixels are repeated."""
    height, width = images.shape[-2:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return images[..., rows[:, None], columns[None, :]]
