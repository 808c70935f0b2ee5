"""Occlusion sensitivity: how much the probability of a class drops when part of the face is covered.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2. It requires
only the network's output, so it works for .onnx files too (captum's implementation is for torch networks).

Deviations: a pixel's value is the mean over all squares that cover it, so the map is as large as the image; the paper
draws one value per square.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mien.explain.maps import Images, Labels, Maps, Predict

# Side of the square as a fraction of the image's shorter side, and step between squares as a fraction of theirs; ours.
WINDOW, STRIDE = 1 / 6, 1 / 2
# Normalized value of the covered pixels: mean grey.
COVER = 0.0
BATCH = 32


def occlude(predict: Predict, images: Images, labels: Labels) -> Maps:
    """Return signed maps (n, h, w): the mean drop in probability over the squares that cover a pixel.

    Args:
        predict: The network.
        images: (n, c, h, w), normalized.
        labels: (n,) the class to explain for each image.
    """
    whole = predict(images)[np.arange(len(images)), labels]
    return np.stack([_occlude_one(predict, *row) for row in zip(images, labels, whole, strict=True)])


def _occlude_one(predict: Predict, image: Images, label: int, whole: float) -> NDArray[np.float32]:
    height, width = image.shape[1:]
    side = max(1, round(WINDOW * min(height, width)))
    squares = [(rows, columns) for rows in _spans(height, side) for columns in _spans(width, side)]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for first in range(0, len(squares), BATCH):
        some = squares[first : first + BATCH]
        covered = np.repeat(image[None], len(some), axis=0)
        for row, (rows, columns) in zip(covered, some, strict=True):
            row[:, rows, columns] = COVER
        lost = whole - predict(covered)[:, label]
        for (rows, columns), value in zip(some, lost, strict=True):
            total[rows, columns] += value
            count[rows, columns] += 1
    return np.asarray(total / count, dtype=np.float32)


def _spans(length: int, side: int) -> list[slice]:
    """Return the extents of squares along an axis: they cover all of it and are symmetric."""
    free = length - side
    count = math.ceil(free / max(1, round(STRIDE * side))) + 1
    count += count % 2 * free % 2  # a middle square on an odd remainder would be half a pixel off
    first = [round(i * free / (count - 1)) for i in range(count // 2)]
    middle = [free // 2] if count % 2 else []
    return [slice(start, start + side) for start in (*first, *middle, *(free - start for start in reversed(first)))]
