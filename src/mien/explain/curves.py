"""Deletion and insertion curves, and baseline maps: does the prediction depend on the pixels that a map ranks highest?

Source: Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
section 3.3. Deletion removes pixels, the most important first; insertion starts from a face without details and
restores them. A faithful map has a small area under the deletion curve and a large one under the insertion curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.evaluation.bootstrap import LEVEL, ROUNDS
from mien.explain.maps import Images, Labels, Maps, Predict

Replacement = Literal["grey", "blur"]
# Standard deviations as fractions of the image's side; ours.
CENTRE_WIDTH = 1 / 4
BLUR_WIDTH = 1 / 8
# Images per forward pass, approximately.
BATCH = 256


@dataclass(frozen=True)
class CurveSettings:
    """Settings of deletion and insertion curves.

    Attributes:
        step: Share of the pixels per step, in (0, 1].
        deletion: Replacement of deleted pixels.
        insertion: Replacement that insertion starts from.
        seed: Orders pixels of equal importance.
    """

    step: float = 0.05
    deletion: Replacement = "grey"
    insertion: Replacement = "blur"
    seed: int = 0


@dataclass(frozen=True)
class Curves:
    """The curves of n faces.

    Attributes:
        shares: (steps + 1,) share of deleted or inserted pixels, from 0 to 1.
        deletion, insertion: (n, steps + 1) probability of the explained class.
    """

    shares: NDArray[np.float64]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]

    def areas(self, kind: str) -> NDArray[np.float64]:
        """The area under each curve of "deletion" or "insertion", (n,) in [0, 1], by the trapezoid rule."""
        return np.asarray(np.trapezoid(getattr(self, kind), self.shares, axis=-1))


def compute_curves(predict: Predict, images: Images, maps: Maps, labels: Labels, settings: CurveSettings) -> Curves:
    """Compute both curves of each face in the order given by its map.

    Args:
        predict: The network.
        images: (n, c, h, w), normalized.
        maps: (n, h, w); larger is more important.
        labels: (n,) the explained classes.
        settings: The settings.
    """
    n, channels, height, width = images.shape
    pixels = height * width
    steps = max(round(1 / settings.step), 1) + 1
    counts = np.rint(np.linspace(0, pixels, steps)).astype(np.int64)
    positions = np.stack([rank_pixels(values, settings.seed + i) for i, values in enumerate(maps)])
    ends = (
        (images, replace_pixels(images, settings.deletion)),
        (replace_pixels(images, settings.insertion), images),
    )
    curves = np.empty((len(ends), n, steps))
    faces = max(BATCH // steps, 1)
    for first in range(0, n, faces):
        rows = slice(first, first + faces)
        is_changed = positions[rows, None, None] < counts[:, None, None, None]  # (faces, steps, 1, h, w)
        for curve, (start, end) in zip(curves, ends, strict=True):
            mixed = np.where(is_changed, end[rows, None], start[rows, None])
            probabilities = predict(mixed.reshape(-1, channels, height, width)).reshape(len(mixed), steps, -1)
            curve[rows] = np.take_along_axis(probabilities, labels[rows, None, None], axis=2)[:, :, 0]
    return Curves(counts / pixels, *curves)


def random_map(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return a map of independent uniform values in [0, 1), (height, width); the same seed gives the same map."""
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def centre_gaussian(height: int, width: int) -> NDArray[np.float32]:
    """Return a Gaussian around the centre, (height, width), with maximum 1: where faces usually are, and no more.

    Its standard deviation is a quarter of each side. Fixations on images concentrate like this (Tatler, "The central
    fixation bias in scene viewing", Journal of Vision 7(14):4, 2007), and so do the moving parts of a cropped face.
    """
    y, x = ((np.arange(n) + 0.5) / n - 0.5 for n in (height, width))
    bell = np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * CENTRE_WIDTH**2))
    return np.asarray(bell, dtype=np.float32)


def replace_pixels(images: NDArray[np.float32], replacement: Replacement) -> NDArray[np.float32]:
    """Return the replacements of removed pixels, in the shape of the images.

    Args:
        images: (n, c, h, w).
        replacement: `grey`: the face's mean per channel, which keeps its brightness. `blur`: the face blurred by a
            Gaussian of an eighth of its longer side, which keeps lighting and outline.
    """
    if replacement == "grey":
        return np.broadcast_to(images.mean(axis=(2, 3), keepdims=True), images.shape).astype(np.float32)
    sigma = BLUR_WIDTH * max(images.shape[2:])
    planes = [[cv2.GaussianBlur(plane, (0, 0), sigma) for plane in image] for image in images]
    return np.asarray(planes, dtype=np.float32).reshape(images.shape)


def rank_pixels(values: NDArray[np.float32], seed: int = 0) -> NDArray[np.int64]:
    """Return the rank of each pixel, (h, w): 0 for the largest value.

    Ties are broken at random. In row order, a map that is zero over half of the image would count as one that prefers
    the forehead.
    """
    drawn = np.random.default_rng(seed).permutation(values.size)
    order = drawn[np.argsort(-values.ravel()[drawn], kind="stable")]
    positions = np.empty(values.size, dtype=np.int64)
    positions[order] = np.arange(values.size)
    return positions.reshape(values.shape)


def mean_interval(values: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of values (n,), one per face.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (ROUNDS, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
