"""Toy networks whose evidence is known: numpy functions of the image, so that the right map is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 16
PATCH = (slice(3, 7), slice(9, 13))


def planted_faces(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return noise images (count, 1, 16, 16) with a bright patch at `PATCH`."""
    images = np.random.default_rng(seed).normal(0, 0.3, (count, 1, SIDE, SIDE)).astype(np.float32)
    images[:, :, *PATCH] = 2.0
    return images


def patch_network(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, 2) probabilities: class 1 is the brightness of the patch and depends on nothing else."""
    score = images[:, 0, *PATCH].mean(axis=(1, 2))
    probability = 1 / (1 + np.exp(-6 * (score - 1.4)))
    return np.stack([1 - probability, probability], axis=1).astype(np.float32)


def patch_maps(images: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the true maps: a pixel of the patch is as important as it is bright, all others not at all."""
    maps = np.zeros((len(images), SIDE, SIDE), dtype=np.float32)
    maps[:, *PATCH] = images[:, 0, *PATCH]
    return maps * (labels == 1)[:, None, None]


def linear_network(weights: NDArray[np.float32]) -> object:
    """Return a function of images whose class 1 is the weighted sum of the pixels: not a probability, but exact."""

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        score = (images[:, 0].astype(np.float64) * weights).sum(axis=(1, 2))
        return np.stack([-score, score], axis=1)

    return predict
