"""Looks a data set over before anything is trained on it."""

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
        name: The adapter's name.
        n: Number of images.
        image_shape: (h, w) or (h, w, 3), as loaded.
        labels: The label words, in the data set's order.
        counts: Images per split and label.
        twins: Pixel-identical images within each split and across each pair of splits.
        constant: Images whose pixels are all equal.
        not_face: Images that the annotators call no face; None where the data set does not say.
        has_votes: Whether several annotators' votes are known.
        fingerprint: `FaceDataset.fingerprint`.
    """

    name: str
    n: int
    image_shape: tuple[int, ...]
    labels: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    twins: tuple[DuplicateCount, ...]
    constant: int
    not_face: int | None
    has_votes: bool
    fingerprint: str

    @property
    def shares_duplicated_in_train(self) -> dict[str, float]:
        """For validation and test: the share, 0 to 1, of images that have an identical image in train."""
        return {
            count.split: count.twins / sum(self.counts[count.split].values())
            for count in self.twins
            if count.of_split == "train" and count.split != "train"
        }

    def to_json(self) -> dict[str, object]:
        """Return the report as it stands in `mien data check --json`."""
        fields = dataclasses.asdict(self)
        shares = {split: round(share, 6) for split, share in self.shares_duplicated_in_train.items()}
        return fields | {"shares_duplicated_in_train": shares}


def check(dataset: FaceDataset) -> DataReport:
    """Count images, exact duplicates, contradicting labels, constant images and images of no face."""
    return DataReport(
        name=dataset.name,
        n=len(dataset),
        image_shape=dataset.images.shape[1:],
        labels=dataset.label_set.names,
        counts=dataset.counts(),
        twins=tuple(count_duplicates(dataset)),
        constant=sum(bool(image.min() == image.max()) for image in dataset.images),
        not_face=None if dataset.is_face is None else int(np.count_nonzero(~dataset.is_face)),
        has_votes=dataset.votes is not None,
        fingerprint=dataset.fingerprint,
    )
