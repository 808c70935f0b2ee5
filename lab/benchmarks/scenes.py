"""Images with known faces: FER2013's frames pasted onto photographs without a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from mien.core.image import as_rgb
from mien.core.types import Box, Detection
from mien.inference.detectors import Detector

PHOTOGRAPHS = ("coffee", "rocket", "chelsea", "brick", "grass", "gravel", "coins", "page", "immunohistochemistry")


@dataclass(frozen=True)
class Scene:
    """An RGB image (h, w, 3) and the frames (48 x 48 pixels in the data set) that were pasted into it."""

    image: NDArray[np.uint8]
    frames: list[Box]


@dataclass(frozen=True)
class FoundFrame:
    """A frame in the middle of an image, and the face that a detector found there.

    Attributes:
        row: Row number of the face.
        image: RGB (2 * side, 2 * side, 3).
        side: Side of the pasted frame in pixels.
        middle: Its centre, x and y.
        detection: The detector's.
    """

    row: int
    image: NDArray[np.uint8]
    side: int
    middle: float
    detection: Detection


def photographs() -> list[NDArray[np.uint8]]:
    """Return photographs without faces, from scikit-image and scikit-learn, long side 640 pixels."""
    images = [as_rgb(getattr(skimage.data, name)()) for name in PHOTOGRAPHS]
    images += [as_rgb(image) for image in load_sample_images().images]
    return [_long_side(image, 640) for image in images]


def find_pasted(
    detector: Detector, faces: NDArray[np.uint8], *, use_border: bool = False, tilt: float = 0.0
) -> Iterator[FoundFrame]:
    """Look for each face in its own image of `paste_each`; yield those that are found.

    Args:
        detector: Looks for them.
        faces: (n, 48, 48) grey.
        use_border: As in `paste_each`.
        tilt: As in `paste_each`.
    """
    for row, image in enumerate(paste_each(faces, use_border=use_border, tilt=tilt)):
        detections = detector.detect(image)
        middle, near = find_middle(len(image), [detection.box for detection in detections])
        if near:
            best = max((detections[index] for index in near), key=lambda detection: detection.score)
            yield FoundFrame(row, image, len(image) // 2, middle, best)


def find_middle(height: int, boxes: Sequence[Box]) -> tuple[float, list[int]]:
    """Return where the frame's centre is in an image of `paste_each`, and which boxes are centred nearby."""
    side = height // 2
    middle = side // 2 + side / 2
    return middle, [i for i, box in enumerate(boxes) if max(abs(c - middle) for c in box.centre) < side / 4]


def paste_each(faces: NDArray[np.uint8], *, use_border: bool = False, tilt: float = 0.0) -> Iterator[NDArray[np.uint8]]:
    """Paste each face (n, 48, 48), enlarged 2 to 6 times, into an RGB image twice as wide.

    Args:
        faces: (n, 48, 48) grey.
        use_border: Continue the frame by its own border instead of pasting it into a photograph.
        tilt: Turn the frame in the photograph by so many degrees, every second one clockwise.
    """
    rng, backgrounds = np.random.default_rng(0), photographs()
    for row, face in enumerate(faces):
        side = int(48 * rng.uniform(2, 6))
        start = side // 2
        large = enlarge(face, side)
        background = backgrounds[rng.integers(len(backgrounds))]
        if use_border:
            rims = (start, side - start, start, side - start)
            grey = cv2.copyMakeBorder(large, *rims, cv2.BORDER_REPLICATE)
            yield np.repeat(np.asarray(grey, dtype=np.uint8)[:, :, None], 3, axis=2)
        else:
            image = np.asarray(cv2.resize(background, (2 * side, 2 * side)), dtype=np.uint8)
            _paste_turned(image, large, tilt if row % 2 else -tilt)
            yield image


def paste(
    photograph: NDArray[np.uint8], faces: NDArray[np.uint8], rng: np.random.Generator, largest: float = 0.45
) -> Scene:
    """Paste 48 x 48 faces into a photograph at random places, apart, 48 pixels to `largest` of its height.

    Args:
        photograph: (h, w, 3).
        faces: (n, 48, 48) grey.
        rng: Draws sizes (uniform in their logarithm) and places.
        largest: The largest side, as a fraction of the photograph's height.
    """
    image, frames = photograph.copy(), list[Box]()
    height, width = image.shape[:2]
    for face in faces:
        for _ in range(50):
            side = round(float(np.exp(rng.uniform(np.log(48), np.log(height * largest)))))
            x, y = (int(rng.integers(0, limit - side + 1)) for limit in (width, height))
            if all(_is_apart(frame, x, y, side) for frame in frames):
                frames.append(Box(x, y, side, side))
                image[y : y + side, x : x + side] = enlarge(face, side)[:, :, None]
                break
    return Scene(image, frames)


def enlarge(face: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Enlarge a 48 x 48 face by cubic interpolation."""
    return np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _paste_turned(image: NDArray[np.uint8], face: NDArray[np.uint8], angle: float) -> None:
    """Paste a grey face (side, side) into the middle of an RGB image (2 * side, 2 * side, 3), turned clockwise."""
    side, start = len(face), len(face) // 2
    if not angle:
        image[start : start + side, start : start + side] = face[:, :, None]
        return
    pixel = (side - 1) / 2  # the middle, counted at pixel centres
    matrix = cv2.getRotationMatrix2D((pixel, pixel), -angle, 1)  # OpenCV turns counter-clockwise
    matrix[:, 2] += start
    colours = np.repeat(face[:, :, None], 3, axis=2)
    cv2.warpAffine(
        colours, matrix, image.shape[1::-1], dst=image, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )


def _is_apart(frame: Box, x: int, y: int, side: int) -> bool:
    return x >= frame.x + frame.width or y >= frame.y + frame.height or x + side <= frame.x or y + side <= frame.y


def _long_side(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = side / max(image.shape[:2])
    shape = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
