"""Examines a data set before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.data.dataset import FaceDataset
from mien.data.duplicates import DuplicateCount, count_duplicates


@dataclass(frozen=True)
class DataReport:
    """What `mien data check` prints.

    Attributes:
        name: The data set's name.
        n: Number of images.
        image_shape: (h, w) or (h, w, 3), as loaded.
        labels: The labels, in the data set's order.
        counts: Images per split and label.
        duplicates: Exact duplicates within each split and across each pair of splits.
        constant: Images whose pixels are all equal.
        not_face: Images that annotators rejected as non-faces; None if unknown.
        has_votes: Whether the votes of several annotators are known.
        fingerprint: `FaceDataset.fingerprint`.
        notes: `FaceDataset.notes`.
    """

    name: str
    n: int
    image_shape: tuple[int, ...]
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    duplicates: tuple[DuplicateCount, ...]
    constant: int
    not_face: int | None
    has_votes: bool
    fingerprint: str
    notes: tuple[str, ...]


def check(dataset: FaceDataset) -> DataReport:
    """Count images, exact duplicates, contradicting labels, constant images and non-faces."""
    return DataReport(
        name=dataset.name,
        n=len(dataset),
        image_shape=dataset.images.shape[1:],
        labels=dataset.label_set.names,
        counts=dataset.counts(),
        duplicates=tuple(count_duplicates(dataset)),
        constant=sum(bool(image.min() == image.max()) for image in dataset.images),
        not_face=None if dataset.is_face is None else int(np.count_nonzero(~dataset.is_face)),
        has_votes=dataset.votes is not None,
        fingerprint=dataset.fingerprint,
        notes=dataset.notes,
    )
