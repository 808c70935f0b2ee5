"""Labelled image files, read into a `FaceDataset`: what the adapters of file-based data sets share."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import Expression, LabelSet, parse_expression
from mien.core.image import SUFFIXES
from mien.core.types import Box
from mien.data.dataset import SUBJECT, FaceDataset
from mien.data.lazy_images import read_images
from mien.data.options import LoadOptions
from mien.data.splits import assign_subjects, stratified_mask

# What operating systems and archivers leave behind; hidden files and folders are skipped too.
LITTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True)
class LabelledImage:
    """One image file of a data set.

    Attributes:
        path: The file.
        identity: Identifies the image within the data set; unique.
        label: The expression it shows.
        split: `train`, `validation` or `test`.
        box: The face's box in pixels if the image shows more than the face. None: the whole image is the face.
        metadata: Further columns.
    """

    path: Path
    identity: str
    label: Expression
    split: str = "train"
    box: Box | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def errors_with(origin: str) -> Iterator[None]:
    """Add to every `DataError` raised inside where the data set is available."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error} {origin}") from None


def list_entries(folder: Path) -> list[Path]:
    """Return a folder's entries, sorted, without hidden files and litter.

    Raises:
        DataError: The folder is missing or cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror or error}).") from None
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in LITTER]


def list_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, sorted."""
    return [entry for entry in list_entries(folder) if entry.is_dir()]


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted: those with a suffix that can be decoded."""
    return [entry for entry in list_entries(folder) if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]


def parse_folder_label(folder: Path) -> Expression:
    """Return the expression that a folder is named after; `DataError` names the folder if it is none."""
    try:
        return parse_expression(folder.name)
    except DataError as error:
        raise DataError(f"{folder} is not named after a label: {error}") from None


def read_text(path: Path, largest: int) -> str:
    """Read a text file of at most `largest` bytes; `DataError` names it if that fails."""
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


def read_csv(path: Path, largest: int) -> list[list[str]]:
    """Return the rows of a CSV file of at most `largest` bytes; `DataError` names it if that fails."""
    try:
        return list(csv.reader(io.StringIO(read_text(path, largest), newline="")))
    except csv.Error as error:
        raise DataError(f"{path} is not CSV text ({error}).") from None


def build_dataset(
    name: str, images: Sequence[LabelledImage], label_set: LabelSet, options: LoadOptions, *, by_subject: bool = False
) -> FaceDataset:
    """Read images, in their order.

    If none belongs to the split `validation`, `options.validation_share` of the training images is set aside for it,
    drawn by `options.seed`.

    Args:
        name: The data set's name.
        images: One or more.
        label_set: Holds every image's label; a label without images stays in it.
        options: Size, channels, seed and validation share.
        by_subject: Set whole subjects (metadata column `subject`) aside instead of a share of each label.

    Raises:
        DataError: Two images have one identity, a file is missing or cannot be read, or memory does not suffice.
    """
    _check_files(images)
    labels = np.array([label_set.expressions.index(image.label) for image in images], dtype=np.int64)
    splits = np.array([image.split for image in images], dtype="<U10")
    columns = sorted({column for image in images for column in image.metadata})
    metadata = {c: np.array([image.metadata.get(c, "") for image in images], dtype=np.str_) for c in columns}
    if "validation" not in splits:
        train = np.flatnonzero(splits == "train")
        share, seed = options.validation_share, options.seed
        if by_subject:
            aside = _subject_mask(metadata[SUBJECT][train], labels[train], share, seed)
        else:
            aside = stratified_mask(labels[train], share, seed)
        splits[train[aside]] = "validation"
    return FaceDataset(
        name=name,
        images=read_images([image.path for image in images], options, [image.box for image in images]),
        labels=labels,
        splits=splits,
        label_set=label_set,
        paths=tuple(str(image.path) for image in images),
        metadata=metadata,
    )


def _check_files(images: Sequence[LabelledImage]) -> None:
    """Find missing files before anything is read: lazy images would fail in the middle of training."""
    seen: dict[str, Path] = {}
    for image in images:
        if image.identity in seen:
            raise DataError(f"'{image.identity}' is listed twice: {seen[image.identity]} and {image.path}; remove one.")
        seen[image.identity] = image.path
        if not image.path.is_file():
            raise DataError(f"{image.path}: no such file.")


def _subject_mask(subjects: NDArray[np.str_], labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose one fold of 1 / share of the people; return (n,) True for their rows, none if there is one person."""
    people = len(np.unique(subjects))
    if share <= 0 or people < 2:
        return np.zeros(len(subjects), dtype=np.bool_)
    folds = min(max(round(1 / share), 2), people)
    return np.asarray(assign_subjects(subjects, labels, folds, seed) == 0, dtype=np.bool_)
