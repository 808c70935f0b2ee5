"""From an image to the levels that a face detection network sees, and from its maps to faces.

A level is the image, scaled and with a border. The network returns six maps (6, h / 8, w / 8) for a level (h, w); the
cell in row j and column i has its centre at x = 8 i + 4, y = 8 j + 4. Its numbers: the logit of "a face's centre is
here"; x and y of that centre from the cell's centre, in units of 8 pixels; log(side / card.side); sine and cosine of
the roll times any length.

A face is a row (cx, cy, side, score, roll): the centre and the side of its square, in pixels; its score in [0, 1]; and
by how many degrees the head is turned, clockwise as seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.detector_card import DetectorCard

Run: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""A detection network: a level (h, w) -> maps (6, h / 8, w / 8)."""

BORDER = 16  # pixels around a level, so that faces at the image's border are seen
SHORTEST_SIDE = 16  # of a level without its border; in smaller ones a face fills more than the image
LARGEST_SCALE = 2.0  # enlarging further shows the network nothing new
SAME_OVERLAP = 0.3  # two boxes are one face if their intersection is a larger part of their union,
SAME_COVER = 0.7  # or a larger part of the smaller box
SAME_SIZE = 1.5  # boxes of one face are averaged if their sides differ by a smaller factor
MOST_ROWS = 10_000  # of the best scores; bounds the time of `suppress`


def first_scale(shape: tuple[int, ...], card: DetectorCard, smallest_face: float, budget: int) -> float:
    """Return the scale of the first level of an image of `shape` (h, w); see `levels`."""
    wanted = min(card.smallest_side / smallest_face, LARGEST_SCALE)
    # (h * scale + around) * (w * scale + around) = budget
    pixels, around = shape[0] * shape[1], 2 * BORDER + card.stride
    half = around * (shape[0] + shape[1]) / 2
    affordable = (math.sqrt(half**2 + pixels * max(budget - around**2, 0)) - half) / pixels
    return min(wanted, affordable)


def levels(
    grey: NDArray[np.uint8], card: DetectorCard, smallest_face: float, budget: int
) -> Iterator[tuple[NDArray[np.uint8], float, int]]:
    """Yield the image at the scale at which its smallest faces are found, then at half, a quarter ...

    Args:
        grey: (h, w).
        card: The network's card.
        smallest_face: The side of the smallest face to find, in pixels of the image, above 0. Twice the side takes a
            quarter of the time. Below half of `card.smallest_side` it changes nothing.
        budget: The most pixels of the first level, its border included. A larger image is scaled further down.

    Yields:
        The level with its border (h, w), both multiples of 8; pixels of the level per pixel of the image; and the
        border's width on the left and above, in pixels of the level. An image that is too small has no level.
    """
    scale = first_scale(grey.shape, card, smallest_face, budget)
    if min(grey.shape) * scale < SHORTEST_SIDE:
        return
    level = grey
    if scale != 1:
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        level = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method), dtype=np.uint8)
    while min(level.shape) >= SHORTEST_SIDE:
        yield _with_border(level), scale, BORDER
        level, scale = _halved(level), scale / 2


def read_faces(
    maps: NDArray[np.float32], scale: float, offset: float, card: DetectorCard, least_score: float
) -> NDArray[np.float64]:
    """Return the faces in a level's maps: a row for each cell with at least a score, and a side within the card's.

    Args:
        maps: (6, h / 8, w / 8).
        scale: As yielded by `levels`.
        offset: As yielded by `levels`.
        card: The network's card.
        least_score: In (0, 1).

    Returns:
        (n, 5) in pixels of the image, in no order; several rows may be one face.
    """
    least = (math.log(least_score / (1 - least_score)) - card.offset) / card.slope
    j, i = np.nonzero(maps[0] >= least)  # false for NaN
    if not len(j):
        return np.zeros((0, 5))
    logit, dx, dy, size, sine, cosine = maps[:, j, i].astype(np.float64)
    sides = card.side * np.exp(np.clip(size, -10, 10))
    rows = np.empty((len(j), 5))
    rows[:, 0] = (card.stride * (i + 0.5 + dx) - offset) / scale
    rows[:, 1] = (card.stride * (j + 0.5 + dy) - offset) / scale
    rows[:, 2] = sides / scale
    rows[:, 3] = 1 / (1 + np.exp(-np.clip(card.slope * logit + card.offset, -50, 50)))
    rows[:, 4] = np.degrees(np.arctan2(sine, cosine))
    is_read = (sides > card.sides[0]) & (sides < card.sides[1]) & np.isfinite(rows).all(axis=1)
    faces: NDArray[np.float64] = rows[is_read]
    return faces


def suppress(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one row per face (non-maximum suppression), best score first.

    Two boxes are one face if they overlap by more than 0.3 of their union or 0.7 of the smaller. The better one stays;
    its centre and side become the mean, weighted by score, of those of its boxes that are about as large.
    """
    rows = rows[np.argsort(-rows[:, 3], kind="stable")[:MOST_ROWS]]
    kept = np.empty_like(rows)
    n = 0
    while len(rows):
        best, sides = rows[0], rows[:, 2]
        side = best[2]
        # a box inside another shares no more than its own side
        lengths = np.minimum((side + sides) / 2 - np.abs(rows[:, :2] - best[:2]).T, np.minimum(side, sides))
        shared = np.maximum(lengths[0], 0) * np.maximum(lengths[1], 0)
        is_same = shared > np.minimum(
            SAME_OVERLAP / (1 + SAME_OVERLAP) * (side**2 + sides**2), SAME_COVER * np.minimum(side, sides) ** 2
        )
        is_same[0] = True
        group = rows[is_same & (sides > side / SAME_SIZE) & (sides < side * SAME_SIZE)]
        weights = group[:, 3] / group[:, 3].sum()
        kept[n], kept[n, :3] = best, weights @ group[:, :3]
        n += 1
        rows = rows[~is_same]
    return kept[:n]


def find_faces(  # noqa: PLR0913
    grey: NDArray[np.uint8], run: Run, card: DetectorCard, *, smallest_face: float, budget: int, least_score: float
) -> NDArray[np.float64]:
    """Return the faces of an image (h, w) as rows (n, 5), best first; `run` is called once per level.

    See `levels` for `smallest_face` and `budget`, and `read_faces` for `least_score`. Boxes whose centre is outside of
    the image are left out: they are reflections in the border.
    """
    found = [
        read_faces(run(level), scale, offset, card, least_score)
        for level, scale, offset in levels(grey, card, smallest_face, budget)
    ]
    rows = np.concatenate([np.zeros((0, 5)), *found])
    height, width = grey.shape
    is_inside = (rows[:, 0] >= 0) & (rows[:, 0] <= width) & (rows[:, 1] >= 0) & (rows[:, 1] <= height)
    return suppress(rows[is_inside])


def _with_border(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a level with its border, and enough below and on the right to make both sides multiples of 8."""
    height, width = level.shape
    below, right = BORDER + -height % 8, BORDER + -width % 8
    # a reflection must not be longer than what it reflects
    kind = cv2.BORDER_REFLECT_101 if min(height, width) > max(below, right) else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(level, BORDER, below, BORDER, right, kind), dtype=np.uint8)


def _halved(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a level at exactly half the scale; an odd last row or column is repeated."""
    height, width = level.shape
    if height % 2 or width % 2:
        even = cv2.copyMakeBorder(level, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        level = np.asarray(even, dtype=np.uint8)
    size = (level.shape[1] // 2, level.shape[0] // 2)
    return np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
