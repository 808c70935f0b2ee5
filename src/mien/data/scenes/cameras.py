"""What a camera does to a scene: blur, darkness, low contrast, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.surfaces import Grey, Surfaces


def photograph(scene: Grey, surfaces: Surfaces) -> NDArray[np.uint8]:
    """Return a scene (n, n) float32 as a camera would give it; most cameras are good, some bad."""
    rng = surfaces.rng
    if rng.random() < 0.3:
        scene = _grey(cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.3, 1.1)))
    if rng.random() < 0.08:
        scene = _moved(scene, rng)
    if rng.random() < 0.1:
        factor = rng.uniform(0.5, 0.9)
        coarse = cv2.resize(scene, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        scene = _grey(cv2.resize(coarse, scene.shape[::-1]))
    light = rng.uniform(0.6, 1.25) if rng.random() < 0.72 else rng.uniform(0.08, 0.5)
    scene = scene * light + rng.uniform(-20, 25)
    if rng.random() < 0.1:
        scene = (scene - 128) * rng.uniform(0.2, 0.7) + rng.uniform(60, 190)
    if rng.random() < 0.5:
        strength = rng.uniform(1, 7) if rng.random() < 0.8 else rng.uniform(7, 22)
        scene = scene + surfaces.noise(*scene.shape) * strength
    pixels = np.clip(scene, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))]
        pixels = np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], cv2.IMREAD_GRAYSCALE), np.uint8)
    return pixels


def _moved(scene: Grey, rng: np.random.Generator) -> Grey:
    """Return the scene blurred along a line of 3 to 7 pixels."""
    kernel, long = np.zeros((7, 7), dtype=np.float32), int(rng.integers(3, 8))
    start, end = (3 - long // 2, int(rng.integers(1, 6))), (3 + long // 2, int(rng.integers(1, 6)))
    cv2.line(kernel, start, end, 1.0, 1)
    return _grey(cv2.filter2D(scene, -1, kernel / kernel.sum()))


def _grey(image: object) -> Grey:
    return np.asarray(image, dtype=np.float32)
