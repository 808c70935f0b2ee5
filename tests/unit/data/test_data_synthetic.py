from __future__ import annotations

import numpy as np
import pytest

from mien.core.expressions import FER2013_LABELS
from mien.data import registry
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return registry.load("synthetic", None)


def test_default_has_sixty_training_faces_and_twenty_validation_faces_per_label(faces: FaceDataset) -> None:
    assert faces.label_set == FER2013_LABELS
    assert faces.images.shape == (560, 48, 48)
    assert set(faces.counts()["train"].values()) == {60}
    assert set(faces.counts()["validation"].values()) == {20}


def test_the_seed_alone_decides(faces: FaceDataset) -> None:
    few = LoadOptions(faces_per_class=2)
    assert registry.load("synthetic", None, few).fingerprint == registry.load("synthetic", None, few).fingerprint
    other = registry.load("synthetic", None, LoadOptions(faces_per_class=2, seed=1))
    assert other.fingerprint != registry.load("synthetic", None, few).fingerprint


def test_no_face_is_drawn_twice(faces: FaceDataset) -> None:
    assert len(np.unique(faces.images.reshape(len(faces), -1), axis=0)) == len(faces)


def test_expressions_differ_more_than_chance(faces: FaceDataset) -> None:
    # Nearest mean face: far above chance (1 in 7), and far from solved by something this simple.
    def normalized(images: np.ndarray) -> np.ndarray:
        flat = images[:, 12:40, 8:40].reshape(len(images), -1).astype(np.float64)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    train, validation = faces.split("train"), faces.split("validation")
    features = normalized(train.images)
    means = np.stack([features[train.labels == i].mean(axis=0) for i in range(7)])
    means -= means.mean(axis=0)
    guesses = (normalized(validation.images) @ means.T).argmax(axis=1)
    accuracy = (guesses == validation.labels).mean()
    assert 0.3 < accuracy < 0.9
