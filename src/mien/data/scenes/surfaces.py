"""Surfaces of hair, cloth and skin."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.photographs import Photograph

Grey = NDArray[np.float32]
NOISE_SIDE = 256


class Surfaces:
    """Draws surfaces: noise, strands, pieces of photographs, stripes and clouds, with light from one side.

    Args:
        photographs: Where pieces are cut from.
        rng: Draws everything; may be replaced between scenes.
    """

    def __init__(self, photographs: Sequence[Photograph], rng: np.random.Generator) -> None:
        self.photographs, self.rng = photographs, rng
        # drawn once: drawing noise anew would take most of a scene's time
        self.noises = np.random.default_rng(0).normal(0, 1, (8, NOISE_SIDE, NOISE_SIDE)).astype(np.float32)

    def noise(self, height: int, width: int) -> Grey:
        """Return white noise (height, width) with a standard deviation of 1; sides up to 256."""
        plane = self.noises[self.rng.integers(len(self.noises))]
        y, x = self.rng.integers(NOISE_SIDE - height + 1), self.rng.integers(NOISE_SIDE - width + 1)
        window: Grey = plane[y : y + height, x : x + width]
        return window

    def texture(self, height: int, width: int, mean: float | None = None) -> Grey:
        """Return a surface (height, width) around a grey value, by default a random one; not clipped."""
        rng = self.rng
        mean = rng.uniform(5, 235) if mean is None else mean
        kind = rng.random()
        coarse = self.noise(max(2, height // 2), max(2, width // 2))
        noise = _resize(coarse, width, height)
        if kind < 0.35:
            pattern = noise * rng.uniform(0, 10)
        elif kind < 0.6:  # strands
            long = int(rng.integers(5, 15))
            pattern = cv2.blur(noise, (1, long) if rng.random() < 0.7 else (long, 1)) * rng.uniform(10, 60)
        elif kind < 0.8:
            pattern = _resize(self.piece(12, 90).astype(np.float32), width, height)
            pattern = (pattern - pattern.mean()) * rng.uniform(0.2, 1.1)
        elif kind < 0.9:  # stripes
            frequency, angle = rng.uniform(0.1, 1.2), rng.uniform(0, np.pi)
            across, down = np.arange(width) * np.cos(angle), np.arange(height) * np.sin(angle)
            pattern = np.sin(frequency * (across + down[:, None])) * rng.uniform(5, 60)
        else:
            clouds = cv2.resize(noise[:6, :6], (width, height), interpolation=cv2.INTER_CUBIC)
            pattern = clouds * rng.uniform(5, 40)
        down = np.linspace(-1, 1, height)[:, None] * rng.normal(0, 20)
        across = np.linspace(-1, 1, width) * rng.normal(0, 20)
        return (mean + pattern + down + across).astype(np.float32)

    def piece(self, smallest: float, largest: float) -> NDArray[np.uint8]:
        """Return a square of a photograph, its side drawn between two numbers of pixels."""
        rng = self.rng
        image = self.photographs[int(rng.integers(len(self.photographs)))].image
        side = int(min(rng.uniform(smallest, largest), *image.shape))
        y, x = rng.integers(image.shape[0] - side + 1), rng.integers(image.shape[1] - side + 1)
        piece: NDArray[np.uint8] = image[y : y + side, x : x + side]
        return piece


def _resize(image: Grey, width: int, height: int) -> Grey:
    is_larger = image.shape[0] > height
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if is_larger else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)
