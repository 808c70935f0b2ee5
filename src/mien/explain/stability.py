"""Does a map stay on the face when the face moves by one pixel?

A network that shrinks its picture in steps answers a little differently after a shift (Zhang, "Making convolutional
networks shift-invariant again", ICML 2019); a map that jumps then says more about the grid than about the face.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.explain.faithfulness import Images, Labels, Maps
from mien.explain.similarity import pearson

# (n, c, h, w) normalised images and the classes (n,) to explain, to maps (n, h, w).
Explain = Callable[[Images, Labels], Maps]
# Down, up, right, left; by one pixel each.
SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def measure_stability(explain: Explain, images: Images, maps: Maps, labels: Labels) -> NDArray[np.float64]:
    """Return how much the maps of shifted faces, shifted back, correlate with the original ones.

    Args:
        explain: Makes the maps.
        images: (n, c, h, w), normalised.
        maps: (n, h, w), what `explain` makes of them.
        labels: (n,) the explained classes; they stay when the network changes its mind.

    Returns:
        (n,) the mean of Pearson's correlation over four shifts, in [-1, 1], on the pixels that stay in the picture;
        NaN for a face where no pair of maps has a correlation.
    """
    found = np.full((len(SHIFTS), len(images)), np.nan)
    for i, (down, right) in enumerate(SHIFTS):
        moved = explain(shift(images, down, right), labels)
        back = shift(moved, -down, -right)
        found[i] = [pearson(one[1:-1, 1:-1], other[1:-1, 1:-1]) for one, other in zip(maps, back, strict=True)]
    counts = np.isfinite(found).sum(axis=0)
    return np.where(counts > 0, np.nansum(found, axis=0) / np.maximum(counts, 1), np.nan)


def shift(images: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """Move pictures (..., h, w) by one pixel or none each way; the border's pixels are repeated where it opens."""
    height, width = images.shape[-2:]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return images[..., rows[:, None], columns[None, :]]
