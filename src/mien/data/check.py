"""Examines a data set before anything is trained on it."""

from __future__ import annotations

import dataclasses
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
        shares_duplicated_in_train: Share, 0 to 1, of the validation and test images with a duplicate in train.
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
    shares_duplicated_in_train: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """Return the report as `mien data check --json` prints it."""
        return dataclasses.asdict(self)


def check(dataset: FaceDataset) -> DataReport:
    """Count images, exact duplicates, contradicting labels, constant images and non-faces."""
    counts, duplicates = dataset.counts(), count_duplicates(dataset)
    return DataReport(
        name=dataset.name,
        n=len(dataset),
        image_shape=dataset.images.shape[1:],
        labels=dataset.label_set.names,
        counts=counts,
        duplicates=tuple(duplicates),
        constant=sum(bool(image.min() == image.max()) for image in dataset.images),
        not_face=None if dataset.is_face is None else int(np.count_nonzero(~dataset.is_face)),
        has_votes=dataset.votes is not None,
        fingerprint=dataset.fingerprint,
        shares_duplicated_in_train={
            pair.split: round(pair.duplicates / sum(counts[pair.split].values()), 6)
            for pair in duplicates
            if pair.of_split == "train" and pair.split != "train"
        },
    )
