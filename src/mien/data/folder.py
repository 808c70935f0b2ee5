"""Any folder of face crops sorted by label: `SPLIT/LABEL/*` (FER2013's image download) or `LABEL/*`."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import SYNONYMS, Expression, LabelSet, parse_expression
from mien.data.dataset import FaceDataset
from mien.data.image_files import LabelledPicture, build_dataset, list_entries
from mien.data.registry import LoadOptions

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


def matches(path: Path) -> bool:
    """Return whether a folder has a subfolder named like a split or an expression."""
    if not path.is_dir():
        return False
    known = {*SPLIT_NAMES, *SYNONYMS, *(e.value for e in Expression)}
    return any(folder.name.strip().lower() in known for folder in list_entries(path) if folder.is_dir())


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
    return build_dataset("folder", pictures, label_set, options, subject_apart=False)


def _list_pictures(root: Path) -> list[LabelledPicture]:
    """Return the files of all label folders, sorted: rows must not depend on the file system."""
    folders = [entry for entry in list_entries(root) if entry.is_dir()]
    has_splits = any(folder.name.lower() in SPLIT_NAMES for folder in folders)
    pictures = []
    for folder in folders:
        if not has_splits:
            pictures += _list_label(folder, "train")
            continue
        if folder.name.lower() not in SPLIT_NAMES:
            raise DataError(f"{folder} stands beside split folders; expected train, validation or test.")
        for label_folder in list_entries(folder):
            if not label_folder.is_dir():
                raise DataError(f"{label_folder} is a file; expected a folder named after a label.")
            pictures += _list_label(label_folder, SPLIT_NAMES[folder.name.lower()])
    return pictures


def _list_label(folder: Path, split: str) -> list[LabelledPicture]:
    if folder.name.strip().isdigit():
        raise DataError(
            f"{folder} is named by a number, which means another expression in every data set;"
            " rename it to a word such as angry or happy."
        )
    try:
        label = parse_expression(folder.name)
    except DataError as error:
        raise DataError(f"{folder} is not named after a label: {error}") from None
    files = list_entries(folder)
    for file in files:
        if file.is_dir():
            raise DataError(f"{file} is a folder; expected pictures directly in {folder}.")
    return [LabelledPicture(file, str(file), label, split) for file in files]
