"""Twelve corruptions of face images, in five severities each, the same on every run.

An image is a face crop, uint8, (h, w) grey, (h, w, 1) or (h, w, 3) RGB, of any size; the result has the same shape.
Lengths are shares of the shorter side, so that a severity means the same at any size; noise and JPEG act on pixels and
affect small images more. Random choices (grain, direction of a rotation, position of a hand) depend only on the image's
number and the seed.

The kinds follow SLDCNN's requirements for recognizers in use (section 4.5); five severities are the idea of Hendrycks
and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019. The levels
are our own: theirs are for 224-pixel photographs of objects.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean
from mien.evaluation.occlusions import EYES, MOUTH, Image, Random, put_hand, put_mask, put_sunglasses

Change: TypeAlias = Callable[[Image, float, Random], Image]
SEVERITIES = (1, 2, 3, 4, 5)
GAMMA = 2.2
# Photons that a white pixel collects in full light; the standard deviation of their number is its square root.
FULL_WELL = 600.0
HAND_REACH = (0.3, 0.45, 0.6, 0.75, 0.9)


@dataclass(frozen=True)
class Corruption:
    """A corruption: `change(image, level, random)`; `levels` are those of severity 1 to 5."""

    change: Change
    levels: tuple[float, float, float, float, float]
    unit: str


def corrupt(image: Image, name: str, severity: int, number: int = 0, seed: int = 0) -> Image:
    """Return a corrupted copy of a face image.

    Args:
        image: (h, w), (h, w, 1) or (h, w, 3), uint8.
        name: One of `CORRUPTIONS`.
        severity: 1 (mild) to 5.
        number: The image's number in its data set; with `seed`, it determines all random choices.
        seed: Seed of the whole series.

    Raises:
        DataError: No such corruption or severity, or the image has another shape or type.
    """
    corruption = find_corruption(name)
    if severity not in SEVERITIES:
        raise DataError(f"Severity {severity} given; expected {SEVERITIES[0]} to {SEVERITIES[-1]}.")
    fits = image.ndim in (2, 3) and image.shape[2:] in ((), (1,), (3,)) and image.size > 0
    if image.dtype != np.uint8 or not fits:
        raise DataError(
            f"An image {image.shape} of {image.dtype} given; expected uint8 (h, w), (h, w, 1) or (h, w, 3)."
        )
    # without the severity: a hand stays where it is and only grows
    random = np.random.default_rng((seed, number, zlib.crc32(name.encode())))
    flat = image[:, :, 0] if image.shape[2:] == (1,) else image
    changed = corruption.change(flat, corruption.levels[severity - 1], random)
    return np.ascontiguousarray(changed, dtype=np.uint8).reshape(image.shape)


def find_corruption(name: str) -> Corruption:
    """Return a corruption by its name; `DataError` names the known ones."""
    if name not in CORRUPTIONS:
        known = ", ".join(CORRUPTIONS)
        raise DataError(f"No corruption named '{name}'.{did_you_mean(name, CORRUPTIONS)} Corruptions: {known}.")
    return CORRUPTIONS[name]


def _dim(image: Image, stops: float, random: Random) -> Image:
    """Underexpose by `stops`: less light, and the grain of few photons (Poisson)."""
    light = (image / 255) ** GAMMA * 2.0**-stops
    return _from_unit((random.poisson(light * FULL_WELL) / FULL_WELL) ** (1 / GAMMA))


def _overexpose(image: Image, stops: float, _random: Random) -> Image:
    """Overexpose by `stops`, clipped at white."""
    return _from_unit(((image / 255) ** GAMMA * 2.0**stops) ** (1 / GAMMA))


def _blur(image: Image, share: float, _random: Random) -> Image:
    """Blur by a Gaussian whose standard deviation is `share` of the side."""
    sigma = share * min(image.shape[:2])
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _blur_motion(image: Image, share: float, random: Random) -> Image:
    """Blur along a line of `share` of the side, in any direction: the mean of shifted copies."""
    reach = share * min(image.shape[:2]) / 2
    angle = random.uniform(0, np.pi)
    steps = 2 * max(2, round(2 * reach)) + 1
    total = np.zeros(image.shape, dtype=np.float32)
    for offset in np.linspace(-reach, reach, steps):
        matrix = np.array([[1, 0, offset * np.cos(angle)], [0, 1, offset * np.sin(angle)]])
        total += _warp(image, matrix)
    return _from_unit(total / (255 * steps))


def _add_noise(image: Image, deviation: float, random: Random) -> Image:
    """Add Gaussian noise to each pixel and channel, its standard deviation in grey levels."""
    return _from_unit((image + random.normal(0, deviation, image.shape)) / 255)


def _compress(image: Image, quality: float, _random: Random) -> Image:
    """Compress as JPEG of this quality."""
    bgr = image[..., ::-1] if image.ndim == 3 else image
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR if image.ndim == 3 else cv2.IMREAD_GRAYSCALE)
    pixels = np.asarray(decoded, dtype=np.uint8)
    return pixels[..., ::-1] if image.ndim == 3 else pixels


def _downscale(image: Image, share: float, _random: Random) -> Image:
    """Shrink to `share` of the sides by pixel area and enlarge bilinearly: a face far away."""
    height, width = image.shape[:2]
    small = (max(1, round(width * share)), max(1, round(height * share)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _rotate(image: Image, degrees: float, random: Random) -> Image:
    """Rotate about the centre, to the left or to the right; border pixels are repeated."""
    height, width = image.shape[:2]
    angle = degrees if random.random() < 0.5 else -degrees
    return _warp(image, cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0))


def _warp(image: Image, matrix: NDArray[np.float64]) -> Image:
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _from_unit(values: NDArray[np.floating]) -> Image:
    """Return grey levels, rounded and clipped, of values from 0 (black) to 1 (white)."""
    return np.asarray(np.clip(np.rint(values * 255), 0, 255), dtype=np.uint8)


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "low_light": Corruption(_dim, (1, 2, 3, 4, 5), "stops less light"),
        "over_exposure": Corruption(_overexpose, (0.5, 1, 1.5, 2, 3), "stops more light"),
        "blur": Corruption(_blur, (0.01, 0.02, 0.03, 0.045, 0.06), "standard deviation, share of the side"),
        "motion_blur": Corruption(_blur_motion, (0.04, 0.08, 0.12, 0.18, 0.25), "length, share of the side"),
        "noise": Corruption(_add_noise, (8, 16, 26, 38, 52), "standard deviation, grey levels"),
        "jpeg": Corruption(_compress, (40, 25, 15, 10, 5), "JPEG quality"),
        "down_scaling": Corruption(_downscale, (0.75, 0.5, 0.375, 0.25, 0.1875), "share of the side"),
        "mask": Corruption(put_mask, (0.74, 0.69, 0.63, 0.56, 0.48), "upper edge, share of the height"),
        "sunglasses": Corruption(put_sunglasses, (0.09, 0.115, 0.14, 0.16, 0.18), "half width of a lens"),
        "hand_on_eyes": Corruption(partial(put_hand, EYES[0][1]), HAND_REACH, "reach, share of the width"),
        "hand_on_mouth": Corruption(partial(put_hand, MOUTH[1]), HAND_REACH, "reach, share of the width"),
        "rotation": Corruption(_rotate, (5, 10, 20, 30, 45), "degrees"),
    }
)
