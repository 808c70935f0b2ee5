"""What a map is measured against: maps that know nothing of the network, and pixels that know nothing of the face."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean

Replacement = Literal["grey", "blur"]
REPLACEMENTS: tuple[Replacement, ...] = get_args(Replacement)
# Standard deviations, in parts of the picture's side; ours.
CENTRE_WIDTH = 1 / 4
BLUR_WIDTH = 1 / 8


def random_map(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return a map of independent uniform values in [0, 1), (height, width); the same seed gives the same map."""
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def centre_gaussian(height: int, width: int) -> NDArray[np.float32]:
    """Return a bell around the middle, (height, width), 1 at its top: a map that only knows where faces are.

    Its standard deviation is a quarter of each side. Fixations on pictures gather so (Tatler, "The central fixation
    bias in scene viewing", Journal of Vision 7(14):4, 2007), and the parts of a cropped face that move lie there.
    """
    y, x = ((np.arange(n) + 0.5) / n - 0.5 for n in (height, width))
    bell = np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * CENTRE_WIDTH**2))
    return np.asarray(bell, dtype=np.float32)


def check_replacement(name: str) -> Replacement:
    """Return a replacement by its name; `DataError` names those that there are."""
    for replacement in REPLACEMENTS:
        if name == replacement:
            return replacement
    raise DataError(
        f"No replacement named '{name}'.{did_you_mean(name, REPLACEMENTS)} Replacements: {', '.join(REPLACEMENTS)}."
    )


def replace_pixels(images: NDArray[np.float32], replacement: Replacement) -> NDArray[np.float32]:
    """Return what stands in for the pixels that are taken away, of the shape of the images.

    Args:
        images: (n, c, h, w).
        replacement: `grey`: each face's own mean in each channel, so its brightness stays. `blur`: the face blurred by
            a Gaussian of an eighth of its longer side, so its light and outline stay.
    """
    if replacement == "grey":
        return np.broadcast_to(images.mean(axis=(2, 3), keepdims=True), images.shape).astype(np.float32)
    sigma = BLUR_WIDTH * max(images.shape[2:])
    planes = [[cv2.GaussianBlur(plane, (0, 0), sigma) for plane in image] for image in images]
    return np.asarray(planes, dtype=np.float32).reshape(images.shape)
