"""Pictures with known faces: FER2013's frames pasted onto photographs without a face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from mien.core.image import as_rgb
from mien.core.types import Box


@dataclass(frozen=True)
class Scene:
    """An RGB picture (h, w, 3) and the frames (48 x 48 pixels in the data set) that were pasted into it."""

    image: NDArray[np.uint8]
    frames: list[Box]


def photographs() -> list[NDArray[np.uint8]]:
    """Return photographs without faces, from scikit-image and scikit-learn, long side 640 pixels."""
    names = (
        "coffee",
        "rocket",
        "chelsea",
        "brick",
        "grass",
        "gravel",
        "coins",
        "page",
        "immunohistochemistry",
    )
    pictures = [as_rgb(getattr(skimage.data, name)()) for name in names]
    pictures += [as_rgb(picture) for picture in load_sample_images().images]
    return [_long_side(picture, 640) for picture in pictures]


def paste(
    photograph: NDArray[np.uint8], faces: NDArray[np.uint8], rng: np.random.Generator, largest: float = 0.45
) -> Scene:
    """Paste 48 x 48 faces into a photograph at random places, apart, 48 pixels to `largest` of its height.

    Args:
        photograph: (h, w, 3).
        faces: (n, 48, 48) grey.
        rng: Draws sizes (uniform in their logarithm) and places.
        largest: The largest side, as a part of the photograph's height.
    """
    image, frames = photograph.copy(), list[Box]()
    height, width = image.shape[:2]
    for face in faces:
        for _ in range(50):
            side = round(float(np.exp(rng.uniform(np.log(48), np.log(height * largest)))))
            x, y = (int(rng.integers(0, limit - side + 1)) for limit in (width, height))
            if all(_apart(frame, x, y, side) for frame in frames):
                frames.append(Box(x, y, side, side))
                image[y : y + side, x : x + side] = enlarge(face, side)[:, :, None]
                break
    return Scene(image, frames)


def enlarge(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Enlarge a 48 x 48 face by cubic interpolation."""
    return np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _apart(frame: Box, x: int, y: int, side: int) -> bool:
    return x >= frame.x + frame.width or y >= frame.y + frame.height or x + side <= frame.x or y + side <= frame.y


def _long_side(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = side / max(picture.shape[:2])
    shape = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
