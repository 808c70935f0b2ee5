"""Finds pixel-identical images: a test image with a twin in training measures memory, not skill."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset


@dataclass(frozen=True)
class DuplicateCount:
    """How many images of `split` have an identical *other* image in `of_split`, and how many disagree.

    An image disagrees (`conflicting`) when at least one of its twins in `of_split` has another label.
    """

    split: str
    of_split: str
    twins: int
    conflicting: int


def identical_groups(images: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Number the images so that identical ones, and only those, share a number.

    Args:
        images: (n, ...) uint8.

    Returns:
        (n,) numbers from 0. Images are compared by a 128-bit digest; a collision by chance is beyond reach.
    """
    digests = [hashlib.blake2b(np.ascontiguousarray(i).data, digest_size=16).digest() for i in images]
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], dtype=np.intp)


def duplicate_mask(dataset: FaceDataset, of_split: str = "train") -> NDArray[np.bool_]:
    """Return (n,) True for images outside `of_split` that have a pixel-identical image in it."""
    group = identical_groups(dataset.images)
    inside = dataset.splits == of_split
    return np.asarray(np.isin(group, group[inside]) & ~inside, dtype=np.bool_)


def conflicting_groups(dataset: FaceDataset) -> list[NDArray[np.intp]]:
    """Return the row numbers of each set of identical images that do not all have the same label."""
    group = identical_groups(dataset.images)
    order = np.argsort(group, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return [rows for rows in sets if len(set(dataset.labels[rows].tolist())) > 1]


def count_duplicates(dataset: FaceDataset) -> list[DuplicateCount]:
    """Count twins within each split and, for each pair, those of the later split in the earlier one."""
    group = identical_groups(dataset.images)
    present = dataset.split_names
    counts = []
    for later, split in enumerate(present):
        for of_split in present[: later + 1]:
            rows = np.flatnonzero(dataset.splits == split)
            inside = dataset.splits == of_split
            # (groups, labels): how often each image stands in of_split under each label
            table = np.zeros((group.max() + 1, len(dataset.label_set)), dtype=np.int64)
            np.add.at(table, (group[inside], dataset.labels[inside]), 1)
            others = table[group[rows]].sum(axis=1) - (split == of_split)
            same_label = table[group[rows], dataset.labels[rows]] - (split == of_split)
            counts.append(DuplicateCount(split, of_split, int((others > 0).sum()), int((others > same_label).sum())))
    return counts
