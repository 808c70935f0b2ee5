"""Decode, crop, resize and normalise: the only implementation, for training and inference alike.

Images are RGB, uint8, (h, w, 3), upright. Coordinates are continuous: pixel i covers [i, i + 1), so a box around the
whole image is (0, 0, w, h).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec, InputSpec
from mien.core.decoding import DEFAULT_LIMITS, PILLOW_WARNINGS, SUFFIXES, Limits, as_rgb, decode_image, read_image
from mien.core.errors import ImageError
from mien.core.types import Box

__all__ = [
    "DEFAULT_LIMITS",
    "PILLOW_WARNINGS",
    "SUFFIXES",
    "Limits",
    "as_rgb",
    "crop_face",
    "cut_square",
    "decode_image",
    "fit_face",
    "normalize",
    "read_image",
    "resize_face",
    "to_batch",
]

T = TypeVar("T")

# No network takes more (InputSpec), so a larger crop would only cost memory.
LARGEST_CROP = 1024


def cut_square(box: Box, crop: CropSpec) -> Box:
    """Return the square that `crop_face` cuts around a face box, in pixels; `ImageError` if the box has no area."""
    side = crop.scale * math.sqrt(max(box.width, 0.0) * max(box.height, 0.0))
    x, y = box.centre
    if not (math.isfinite(side) and side > 0 and math.isfinite(x + y)):
        raise ImageError(f"Face box {box} is not a rectangle; expected finite numbers and positive sides.")
    return Box(x + crop.shift_x * side - side / 2, y + crop.shift_y * side - side / 2, side, side)


def crop_face(image: NDArray[np.uint8], box: Box, crop: CropSpec) -> NDArray[np.uint8]:
    """Cut the square around a face box.

    The side is `crop.scale * sqrt(width * height)` of the box; the centre is the box's, moved by
    `(crop.shift_x, crop.shift_y) * side`. The crop is sampled bilinearly at sub-pixel positions, has about one pixel
    per image pixel (at most 1024 per side), and repeats the border pixels outside the image.

    Args:
        image: (h, w) or (h, w, 3).
        box: The detected face, in pixels.
        crop: How the network's faces are cut.

    Returns:
        (n, n) or (n, n, 3) with n = round(side), from 1 to 1024.
    """
    square = cut_square(box, crop)
    left, top, side = square.x, square.y, square.width
    height, width = image.shape[:2]
    if (left, top, side, side) == (0, 0, width, height) and side <= LARGEST_CROP:
        return image
    n = min(max(round(side), 1), LARGEST_CROP)
    x0, x1 = _span(left, side, width)
    y0, y1 = _span(top, side, height)
    region = image[y0:y1, x0:x1]
    if side > LARGEST_CROP:  # bilinear sampling alone would alias
        shape = (math.ceil((x1 - x0) * n / side), math.ceil((y1 - y0) * n / side))
        region = np.asarray(cv2.resize(region, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    fx, fy = region.shape[1] / (x1 - x0), region.shape[0] / (y1 - y0)
    step_x, step_y = side / n * fx, side / n * fy
    # (column, row) of the crop -> (x, y) of the region, both counted at pixel centres
    matrix = np.array(
        [
            [step_x, 0, (left - x0) * fx + step_x / 2 - 0.5],
            [0, step_y, (top - y0) * fy + step_y / 2 - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(region, matrix, (n, n), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.uint8)


def resize_face(image: NDArray[np.uint8], size: int, channels: int) -> NDArray[np.uint8]:
    """Resize a face crop to the side and the channels of a network's input.

    Reduces by pixel area (no aliasing), enlarges bilinearly; grey is ITU-R BT.601 luma. A crop that already has the
    size and the channels is returned unchanged.

    Args:
        image: (h, w), (h, w, 1) or (h, w, 3).
        size: The side, in pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        (size, size) if `channels` is 1, else (size, size, 3).
    """
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if channels == 1 and image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    height, width = image.shape[:2]
    if max(height, width) > size:
        smaller = (min(width, size), min(height, size))
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if min(height, width) < size:
        image = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    if channels == 3 and image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return image


def fit_face(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Return a face crop with the side and the channels of a network's input, without colour if that is grey."""
    if spec.is_grey:
        image = resize_face(image, spec.size, 1)
    return resize_face(image, spec.size, spec.channels)


def normalize(images: T, spec: InputSpec) -> T:
    """Return `(images / 255 - mean) / std`; plain arithmetic, so numpy arrays and tensors both work."""
    pixels: Any = images
    result: T = (pixels / 255 - spec.mean) / spec.std
    return result


def to_batch(faces: Sequence[NDArray[np.uint8]], spec: InputSpec) -> NDArray[np.float32]:
    """Turn face crops of any size into a network's input: (n, channels, size, size), normalised."""
    batch = np.empty((len(faces), spec.size, spec.size, spec.channels), dtype=np.float32)
    for row, face in zip(batch, faces, strict=True):
        row[:] = fit_face(face, spec).reshape(row.shape)
    return np.ascontiguousarray(normalize(batch.transpose(0, 3, 1, 2), spec))


def _span(start: float, side: float, length: int) -> tuple[int, int]:
    """Return the part of [start, start + side), and a pixel around it, inside the image; never empty."""
    first = min(max(math.floor(start) - 1, 0), length - 1)
    return first, max(min(math.ceil(start + side) + 1, length), first + 1)
