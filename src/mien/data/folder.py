"""Any folder of face crops sorted by label: `SPLIT/LABEL/*` (FER2013's image download) or `LABEL/*`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, ImageError
from mien.core.expressions import SYNONYMS, Expression, LabelSet, parse_expression
from mien.core.image import read_image, resize_face
from mien.data.dataset import FaceDataset
from mien.data.registry import LoadOptions
from mien.data.splits import stratified_mask

EXPECTS = "a folder of pictures as SPLIT/LABEL/* (such as train/angry/1.jpg) or LABEL/* (such as angry/1.jpg)"
NEEDS_PATH = True
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
# What operating systems and archivers leave behind; hidden files and folders are passed over too.
LITTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True)
class _Picture:
    path: Path
    split: str
    label: Expression


def matches(path: Path) -> bool:
    """Return whether a folder has a subfolder named like a split or an expression."""
    if not path.is_dir():
        return False
    known = {*SPLIT_NAMES, *SYNONYMS, *(e.value for e in Expression)}
    return any(folder.name.strip().lower() in known for folder in _entries(path) if folder.is_dir())


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Read all pictures of a folder.

    The label set is FER2013's order of the expressions that have pictures, contempt last. Where no folder is
    named validation, `options.validation_share` of the training pictures (those outside any split folder
    included) is set aside as validation, per label and by `options.seed`; a `test` folder stays test.

    Raises:
        DataError: A folder is no label, a file is no readable picture, or there is no picture at all.
    """
    pictures = [] if path is None or not path.is_dir() else _list_pictures(path)
    if not pictures:
        raise DataError(f"No pictures at {path}: expected {EXPECTS}.")
    present = {picture.label for picture in pictures}
    label_set = LabelSet(tuple(e for e in Expression if e in present))
    labels = np.array([label_set.expressions.index(p.label) for p in pictures], dtype=np.int64)
    splits = np.array([p.split for p in pictures], dtype="<U10")
    train = np.flatnonzero(splits == "train")
    if "validation" not in splits:
        splits[train[stratified_mask(labels[train], options.validation_share, options.seed)]] = "validation"
    return FaceDataset(
        name="folder",
        images=_read_pictures(pictures, options),
        labels=labels,
        splits=splits,
        label_set=label_set,
        paths=tuple(str(p.path) for p in pictures),
    )


def _list_pictures(root: Path) -> list[_Picture]:
    """Return the files of all label folders, sorted: rows must not depend on the file system."""
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    has_splits = any(folder.name.lower() in SPLIT_NAMES for folder in folders)
    pictures = []
    for folder in folders:
        if not has_splits:
            pictures += _list_label(folder, "train")
            continue
        if folder.name.lower() not in SPLIT_NAMES:
            raise DataError(f"{folder} stands beside split folders; expected train, validation or test.")
        for label_folder in _entries(folder):
            if not label_folder.is_dir():
                raise DataError(f"{label_folder} is a file; expected a folder named after a label.")
            pictures += _list_label(label_folder, SPLIT_NAMES[folder.name.lower()])
    return pictures


def _list_label(folder: Path, split: str) -> list[_Picture]:
    if folder.name.strip().isdigit():
        raise DataError(
            f"{folder} is named by a number, which means another expression in every data set;"
            " rename it to a word such as angry or happy."
        )
    try:
        label = parse_expression(folder.name)
    except DataError as error:
        raise DataError(f"{folder} is not named after a label: {error}") from None
    files = _entries(folder)
    for file in files:
        if file.is_dir():
            raise DataError(f"{file} is a folder; expected pictures directly in {folder}.")
    return [_Picture(file, split, label) for file in files]


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror or error}).") from None
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in LITTER]


def _read_pictures(pictures: list[_Picture], options: LoadOptions) -> NDArray[np.uint8]:
    """Return (n, size, size) or (n, size, size, 3); `DataError` names the file that cannot be read."""
    size = options.image_size
    images = np.empty((len(pictures), size, size, 3)[: 3 if options.channels == 1 else 4], dtype=np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        try:
            image[:] = resize_face(read_image(picture.path), size, options.channels)
        except ImageError as error:
            raise DataError(str(error)) from None
    return images
