"""What every adapter returns: faces, their labels and their splits."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import LabelSet

SPLITS = ("train", "validation", "test")
ALL = "all"
"""What commands take for all images, whatever their split."""
# The metadata column that names the person.
SUBJECT = "subject"
# Rows hashed at once: a memory-mapped data set is never read into memory whole.
ROWS_PER_CHUNK = 4096


@dataclass(frozen=True)
class FaceDataset:
    """Labelled face crops of one size.

    Attributes:
        name: The data set's name, e.g. `fer2013`.
        images: (n, h, w) grey or (n, h, w, 3) RGB, uint8; may be memory-mapped and then read-only.
        labels: (n,) int64, position in `label_set`.
        splits: (n,) one of `train`, `validation`, `test`.
        label_set: The expressions, in this data set's order.
        votes: (n, len(label_set)) float32, the annotators' distribution; every row sums to 1. None: each image has one
            label only.
        is_face: (n,) False where annotators rejected the image as a non-face. None: unknown.
        paths: The file of each row; empty if all images came from one file.
        metadata: Further columns by name, (n,) texts, e.g. `subject`; "" where unknown.
        is_drawn: The validation images were drawn from the training images, because the data have none.
        unclear: Images that the data set's own rule leaves out, with their most frequent label; they are scored beside
            the others, and never trained on. None: the data set has no such rule.
        folder: The name of the folder, for data sets that have no name of their own; "" for others.
        notes: What the user should know of how the files were read, one sentence each.

    Raises:
        DataError: The lengths of the arrays differ, or a label or split is unknown.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    splits: NDArray[np.str_]
    label_set: LabelSet
    votes: NDArray[np.float32] | None = None
    is_face: NDArray[np.bool_] | None = None
    paths: tuple[str, ...] = ()
    metadata: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    is_drawn: bool = False
    unclear: FaceDataset | None = None
    folder: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.images)
        lengths = {
            "labels": len(self.labels),
            "splits": len(self.splits),
            "votes": n if self.votes is None else len(self.votes),
            "is_face": n if self.is_face is None else len(self.is_face),
            "paths": len(self.paths) or n,
            **{column: len(values) for column, values in self.metadata.items()},
        }
        for name, length in lengths.items():
            if length != n:
                raise DataError(f"Data set '{self.name}' has {n} images but {length} {name}; expected one per image.")
        if n and (self.labels.min() < 0 or self.labels.max() >= len(self.label_set)):
            raise DataError(f"Data set '{self.name}' has labels outside 0 to {len(self.label_set) - 1}.")
        unknown = sorted(set(np.unique(self.splits).tolist()) - set(SPLITS))
        if unknown:
            raise DataError(f"Data set '{self.name}' has split '{unknown[0]}'; splits are {', '.join(SPLITS)}.")

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> FaceDataset:
        """Return the rows selected by number (m,), in that order, or by a mask (n,)."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return dataclasses.replace(
            self,
            images=self.images[numbers],
            labels=self.labels[numbers],
            splits=self.splits[numbers],
            votes=None if self.votes is None else self.votes[numbers],
            is_face=None if self.is_face is None else self.is_face[numbers],
            paths=tuple(self.paths[i] for i in numbers) if self.paths else (),
            metadata={column: values[numbers] for column, values in self.metadata.items()},
        )

    def split(self, name: str) -> FaceDataset:
        """Return the rows of one split, or of `all`.

        Raises:
            DataError: No row belongs to it; the message names the splits with images.
        """
        self.require_split(name)
        return self.subset(self.in_split(name))

    def in_split(self, name: str) -> NDArray[np.bool_]:
        """Return which rows belong to a split, or to `all`: (n,)."""
        return np.ones(len(self), dtype=np.bool_) if name == ALL else np.asarray(self.splits == name, dtype=np.bool_)

    def require_split(self, name: str) -> None:
        """Raise `DataError` if no row belongs to a split; the message names the splits with images."""
        if not self.in_split(name).any():
            present = ", ".join(self.split_names) or "none"
            raise DataError(f"Data set '{self.name}' has no split '{name}'. Splits with images: {present}.")

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that have images, in the order train, validation, test."""
        present = set(np.unique(self.splits).tolist())
        return tuple(name for name in SPLITS if name in present)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of images per split and label; labels without an image count 0."""
        table = {}
        for split in self.split_names:
            numbers = np.bincount(self.labels[self.splits == split], minlength=len(self.label_set))
            table[split] = dict(zip(self.label_set.names, numbers.tolist(), strict=True))
        return table

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of shapes, pixels, labels and splits: equal if and only if the training data are equal."""
        digest = hashlib.sha256(f"{self.images.shape} {' '.join(self.label_set.names)}\n".encode())
        for start in range(0, len(self), ROWS_PER_CHUNK):
            digest.update(np.ascontiguousarray(self.images[start : start + ROWS_PER_CHUNK]).data)
        digest.update(self.labels.astype("<i8").tobytes())
        digest.update("\n".join(self.splits.tolist()).encode())
        return digest.hexdigest()
