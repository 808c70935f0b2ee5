"""Finds exact duplicates: a test image that is also in training measures memory rather than skill."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset


@dataclass(frozen=True)
class DuplicateCount:
    """How many images of `split` have a duplicate (another image) in `of_split`.

    `conflicting` counts those of them with at least one duplicate under another label.
    """

    split: str
    of_split: str
    duplicates: int
    conflicting: int


def identical_groups(images: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Number the images (n, ...) uint8 so that identical ones, and only those, share a number: (n,), from 0.

    Images are compared by a 128-bit digest, so a collision is practically impossible.
    """
    digests = [hashlib.blake2b(np.ascontiguousarray(i).data, digest_size=16).digest() for i in images]
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], dtype=np.intp)


def duplicate_mask(dataset: FaceDataset, of_split: str = "train") -> NDArray[np.bool_]:
    """Return (n,) True for images outside `of_split` that have a duplicate in it."""
    group = identical_groups(dataset.images)
    inside = dataset.splits == of_split
    return np.asarray(np.isin(group, group[inside]) & ~inside, dtype=np.bool_)


def count_duplicates(dataset: FaceDataset) -> list[DuplicateCount]:
    """Count duplicates within each split and, for each pair of splits, those of the later in the earlier one."""
    group = identical_groups(dataset.images)
    present = dataset.split_names
    counts = []
    for later, split in enumerate(present):
        for of_split in present[: later + 1]:
            rows = np.flatnonzero(dataset.splits == split)
            inside = dataset.splits == of_split
            # (groups, labels): how often each image is in of_split under each label
            table = np.zeros((group.max() + 1, len(dataset.label_set)), dtype=np.int64)
            np.add.at(table, (group[inside], dataset.labels[inside]), 1)
            others = table[group[rows]].sum(axis=1) - (split == of_split)
            same_label = table[group[rows], dataset.labels[rows]] - (split == of_split)
            counts.append(DuplicateCount(split, of_split, int((others > 0).sum()), int((others > same_label).sum())))
    return counts
