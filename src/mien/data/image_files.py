"""Picture files with a label each, read into a `FaceDataset`: what the adapters of file-based data sets share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import Expression, LabelSet
from mien.core.image import SUFFIXES
from mien.core.types import Box
from mien.data.dataset import FaceDataset
from mien.data.lazy_images import read_pictures
from mien.data.registry import LoadOptions
from mien.data.splits import assign_subjects, stratified_mask

# What operating systems and archivers leave behind; hidden files and folders are passed over too.
LITTER = ("thumbs.db", "desktop.ini", "__macosx")
SUBJECT = "subject"


@dataclass(frozen=True)
class LabelledPicture:
    """One picture file of a data set.

    Attributes:
        path: The file.
        identity: What makes it this picture of the data set; no two pictures may share it.
        label: The expression it shows.
        split: `train`, `validation` or `test`.
        box: The face's box in pixels, where the picture shows more than the face. None: not known.
        metadata: What else is known of it, by column.
    """

    path: Path
    identity: str
    label: Expression
    split: str = "train"
    box: Box | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def name_origin(origin: str) -> Iterator[None]:
    """Add to every `DataError` raised inside where the data set is given out."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error} {origin}") from None


def list_entries(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted and without hidden files and litter.

    Raises:
        DataError: The folder is absent or cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror or error}).") from None
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in LITTER]


def list_pictures(folder: Path) -> list[Path]:
    """Return the picture files directly in a folder, sorted: those with a suffix that can be decoded."""
    return [entry for entry in list_entries(folder) if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]


def read_text(path: Path, largest: int) -> str:
    """Read a small text file of at most `largest` bytes; `DataError` names it where that is not possible."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if len(content) > largest:
        raise DataError(f"{path} is larger than {largest} bytes; expected a short text file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text.") from None


def build_dataset(
    name: str, pictures: Sequence[LabelledPicture], label_set: LabelSet, options: LoadOptions, *, subject_apart: bool
) -> FaceDataset:
    """Read the pictures, in their order.

    Where none is in split `validation`, `options.validation_share` of the training pictures is set aside for
    it by `options.seed`: per label, or whole subjects where `subject_apart`.

    Args:
        name: The adapter's name.
        pictures: At least one.
        label_set: Holds every picture's label; a label without a picture stays in it.
        options: Size, channels, seed and validation share.
        subject_apart: No subject (metadata column `subject`) may stand in training and in validation.

    Raises:
        DataError: Two pictures have one identity, a picture is absent or cannot be read, or memory does not suffice.
    """
    _check_files(pictures)
    labels = np.array([label_set.expressions.index(p.label) for p in pictures], dtype=np.int64)
    splits = np.array([p.split for p in pictures], dtype="<U10")
    columns = sorted({column for p in pictures for column in p.metadata})
    metadata = {c: np.array([p.metadata.get(c, "") for p in pictures], dtype=np.str_) for c in columns}
    if "validation" not in splits:
        train = np.flatnonzero(splits == "train")
        share, seed = options.validation_share, options.seed
        aside = (
            _subject_mask(metadata[SUBJECT][train], labels[train], share, seed)
            if subject_apart
            else stratified_mask(labels[train], share, seed)
        )
        splits[train[aside]] = "validation"
    return FaceDataset(
        name=name,
        images=read_pictures([p.path for p in pictures], options, [p.box for p in pictures]),
        labels=labels,
        splits=splits,
        label_set=label_set,
        paths=tuple(str(p.path) for p in pictures),
        metadata=metadata,
    )


def _check_files(pictures: Sequence[LabelledPicture]) -> None:
    """Find what is absent before anything is read: lazy pictures would tell in the middle of a training."""
    seen: dict[str, Path] = {}
    for picture in pictures:
        if picture.identity in seen:
            raise DataError(
                f"'{picture.identity}' stands twice: {seen[picture.identity]} and {picture.path};"
                " expected each once, remove one."
            )
        seen[picture.identity] = picture.path
        if not picture.path.is_file():
            raise DataError(f"{picture.path}: no such file.")


def _subject_mask(subjects: NDArray[np.str_], labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose one fold of 1 / share of the people; return (n,) True for their rows, none where there is one person."""
    people = len(np.unique(subjects))
    if share <= 0 or people < 2:
        return np.zeros(len(subjects), dtype=np.bool_)
    folds = min(max(round(1 / share), 2), people)
    return np.asarray(assign_subjects(subjects, labels, folds, seed) == 0, dtype=np.bool_)
