"""Baseline maps that ignore the network, and replacements for removed pixels."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Replacement = Literal["grey", "blur"]
# Standard deviations as fractions of the image's side; ours.
CENTRE_WIDTH = 1 / 4
BLUR_WIDTH = 1 / 8


def random_map(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return a map of independent uniform values in [0, 1), (height, width); the same seed gives the same map."""
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def centre_gaussian(height: int, width: int) -> NDArray[np.float32]:
    """Return a Gaussian around the centre, (height, width), with maximum 1: a map that only knows where faces are.

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
