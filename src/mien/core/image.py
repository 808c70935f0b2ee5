"""Crop, resize and normalize: the only implementation, for training and inference alike.

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
from PIL import Image

from mien.core.card import CropSpec, InputSpec
from mien.core.errors import ImageError
from mien.core.types import Box

T = TypeVar("T")

# Heads turned by less, in degrees, are cropped as they are: the faces that networks learn from vary by as much.
LEAST_ROLL = 10.0
# No network takes more (InputSpec), so a larger crop would only cost memory.
LARGEST_CROP = 1024


def as_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a user's array as RGB (h, w, 3) uint8; uint8 RGB is returned unchanged.

    Args:
        array: (h, w) or (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) RGBA, which is blended with white unless its
            alpha is 0 everywhere; uint8, uint16 or floats in [0, 1].

    Raises:
        ImageError: Empty, another shape or type, or floats outside [0, 1].
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"The array has shape {array.shape}; expected (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).")
    if array.size == 0:
        raise ImageError(f"The array is empty: shape {array.shape}.")
    pixels = _eight_bit(array)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return _on_white(pixels) if pixels.shape[2] == 4 else np.ascontiguousarray(pixels)


def cut_square(box: Box, crop: CropSpec, roll: float = 0.0) -> Box:
    """Return the square that `crop_face` cuts around a face box, in pixels; `ImageError` if the box has no area.

    It is the square before it is turned around its centre by `roll` degrees.
    """
    side = crop.scale * math.sqrt(max(box.width, 0.0) * max(box.height, 0.0))
    x, y = box.centre
    if not (math.isfinite(side) and side > 0 and math.isfinite(x + y + roll)):
        raise ImageError(f"Face box {box} is not a rectangle; expected finite numbers and positive sides.")
    shift_x, shift_y = crop.shift_x, crop.shift_y
    if roll:
        cosine, sine = math.cos(math.radians(roll)), math.sin(math.radians(roll))
        shift_x, shift_y = shift_x * cosine - shift_y * sine, shift_x * sine + shift_y * cosine
    return Box(x + shift_x * side - side / 2, y + shift_y * side - side / 2, side, side)


def roll_to_undo(roll: float) -> float:
    """Return by how many degrees a detected head is turned upright before it is classified: `roll`, or 0 if small."""
    return roll if abs(roll) >= LEAST_ROLL else 0.0


def crop_face(image: NDArray[np.uint8], box: Box, crop: CropSpec, roll: float = 0.0) -> NDArray[np.uint8]:
    """Cut the square around a face box, and turn the face upright.

    The side is `crop.scale * sqrt(width * height)` of the box; the centre is the box's, moved by
    `(crop.shift_x, crop.shift_y) * side` in the face's own directions. The crop is sampled bilinearly at sub-pixel
    positions, has about one pixel per image pixel (at most 1024 per side), and repeats the border pixels outside the
    image.

    Args:
        image: (h, w) or (h, w, 3).
        box: The detected face, in pixels.
        crop: The size and position of the square relative to the box.
        roll: By how many degrees the head is turned, clockwise as seen in the image.

    Returns:
        (n, n) or (n, n, 3) with n = round(side), from 1 to 1024.
    """
    square = cut_square(box, crop, roll)
    left, top, side = square.x, square.y, square.width
    height, width = image.shape[:2]
    if (left, top, side, side) == (0, 0, width, height) and roll == 0 and side <= LARGEST_CROP:
        return image
    n = min(max(round(side), 1), LARGEST_CROP)
    cosine, sine = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    extent = side * (abs(cosine) + abs(sine))  # of the turned square
    x0, x1 = _span(left - (extent - side) / 2, extent, width)
    y0, y1 = _span(top - (extent - side) / 2, extent, height)
    region = image[y0:y1, x0:x1]
    if side > LARGEST_CROP:  # bilinear sampling alone would alias
        shape = (math.ceil((x1 - x0) * n / side), math.ceil((y1 - y0) * n / side))
        region = np.asarray(cv2.resize(region, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    scales = (region.shape[1] / (x1 - x0), region.shape[0] / (y1 - y0))
    matrix = _crop_to_region(square, n, (x0, y0), scales, (cosine, sine))
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
    """Resize a face crop to a network's input; for a network trained on grey images (`is_grey`), remove its colour."""
    if spec.is_grey:
        image = resize_face(image, spec.size, 1)
    return resize_face(image, spec.size, spec.channels)


def normalize(images: T, spec: InputSpec) -> T:
    """Return `(images / 255 - mean) / std`; plain arithmetic, so numpy arrays and tensors both work."""
    pixels: Any = images
    result: T = (pixels / 255 - spec.mean) / spec.std
    return result


def to_batch(faces: Sequence[NDArray[np.uint8]], spec: InputSpec) -> NDArray[np.float32]:
    """Turn face crops of any size into a network's input: (n, channels, size, size), normalized."""
    batch = np.empty((len(faces), spec.size, spec.size, spec.channels), dtype=np.float32)
    for row, face in zip(batch, faces, strict=True):
        row[:] = fit_face(face, spec).reshape(row.shape)
    return np.ascontiguousarray(normalize(batch.transpose(0, 3, 1, 2), spec))


def _crop_to_region(
    square: Box, n: int, origin: tuple[int, int], scales: tuple[float, float], turn: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the matrix (2, 3) from (column, row) of a crop to (x, y) of a region, both counted at pixel centres.

    Args:
        square: What is cut, in pixels of the image, before it is turned around its centre.
        n: The crop's side.
        origin: The region's corner in the image.
        scales: Pixels of the region per pixel of the image, across and down.
        turn: Cosine and sine of the angle by which the square is turned.
    """
    (fx, fy), (cosine, sine), step = scales, turn, square.width / n
    corner = (step - square.width) / 2  # of the crop's first pixel's centre from the square's, across and down
    first_x = square.x - origin[0] + step / 2 + (cosine - 1) * corner - sine * corner
    first_y = square.y - origin[1] + step / 2 + (cosine - 1) * corner + sine * corner
    return np.array(
        [
            [cosine * step * fx, -sine * step * fx, first_x * fx - 0.5],
            [sine * step * fy, cosine * step * fy, first_y * fy - 0.5],
        ]
    )


def _span(start: float, side: float, length: int) -> tuple[int, int]:
    """Return the pixels that [start, start + side) covers, plus one on each side, within the image; never empty."""
    first = min(max(math.floor(start) - 1, 0), length - 1)
    return first, max(min(math.ceil(start + side) + 1, length), first + 1)


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend RGBA (h, w, 4) with white; an alpha that is 0 everywhere is an unused channel, as in many BMP files."""
    colours = Image.fromarray(pixels)
    image = Image.new("RGB", colours.size, "white")
    image.paste(colours, mask=colours if pixels[..., 3].any() else None)
    return np.asarray(image)


def _eight_bit(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageError(f"The pixels are of type {array.dtype}; expected uint8, uint16 or floats in [0, 1].")
    if not (array.min() >= 0 and array.max() <= 1):  # NaN fails both
        raise ImageError("The pixels are floats outside [0, 1] or NaN; scale them to [0, 1], as by `image / 255`.")
    rounded: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
    return rounded
