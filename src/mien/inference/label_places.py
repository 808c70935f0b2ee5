"""Where labels are drawn: beside their boxes, and where they cover no face if there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box


def place_labels(
    boxes: Sequence[Box], sizes: Sequence[tuple[int, ...]], shape: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Return the left and top pixel of each label.

    Of the places around its box, a label gets the first that covers no face and no earlier label, or else the one that
    covers least. Labels are within the image if they fit in it.

    Args:
        boxes: The faces.
        sizes: (height, width) of their labels.
        shape: (height, width) of the image.
    """
    taken = np.array([(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]).reshape(-1, 4)
    places = []
    for box, (height, width, *_) in zip(boxes, sizes, strict=True):
        best, least = (0, 0), np.inf
        for x, y in _candidates(box, width, height):
            left = min(max(round(x), 0), max(shape[1] - width, 0))
            top = min(max(round(y), 0), max(shape[0] - height, 0))
            covered = _overlap((left, top, left + width, top + height), taken)
            if covered < least:
                best, least = (left, top), covered
            if not covered:
                break
        places.append(best)
        taken = np.vstack([taken, (*best, best[0] + width, best[1] + height)])
    return places


def _candidates(box: Box, width: int, height: int) -> Iterator[tuple[float, float]]:
    """Yield places around a box: above, below, then at its sides."""
    right, bottom = box.x + box.width, box.y + box.height
    for y in (box.y - height - 1, bottom + 2):
        yield from ((x, y) for x in (box.x, right - width, box.x + (box.width - width) / 2))
    for x in (right + 2, box.x - width - 1):
        yield from ((x, y) for y in (box.y, bottom - height))


def _overlap(label: tuple[int, int, int, int], taken: NDArray[np.float64]) -> float:
    """Return the area in which a label overlaps others, all as (left, top, right, bottom)."""
    sides = np.minimum(label[2:], taken[:, 2:]) - np.maximum(label[:2], taken[:, :2])
    return float(np.maximum(sides, 0).prod(axis=1).sum())
