"""Any folder of face crops sorted by label: `SPLIT/LABEL/*` (FER2013's image download) or `LABEL/*`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import SYNONYMS, Expression, LabelSet
from mien.data.dataset import FaceDataset
from mien.data.image_files import LabelledImage, build_dataset
from mien.data.label_files import list_entries, list_folders, parse_word
from mien.data.options import LoadOptions

EXPECTS = "a folder of images as SPLIT/LABEL/* (such as train/angry/1.jpg) or LABEL/* (such as angry/1.jpg)"
NEEDS_PATH = True
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def matches(path: Path) -> bool:
    """Return whether a folder has a subfolder named after a split or an expression."""
    known = {*SPLIT_NAMES, *SYNONYMS, *(e.value for e in Expression)}
    return path.is_dir() and any(folder.name.strip().lower() in known for folder in list_folders(path))


def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Read all images of a folder.

    The labels are the expressions that have images, in FER2013's order, contempt last. Without a validation folder,
    `options.validation_share` of the training images is set aside, per label; without split folders, all images are
    training images.

    Raises:
        DataError: A folder is not named after a label, a file is not a readable image, or there are no images.
    """
    images = list(_list(path)) if path.is_dir() else []
    if not images:
        raise DataError(f"No images at {path}: expected {EXPECTS}.")
    present = {image.label for image in images}
    return build_dataset("folder", images, LabelSet(tuple(e for e in Expression if e in present)), options)


def _list(root: Path) -> Iterator[LabelledImage]:
    """Yield the files of all label folders, sorted: rows must not depend on the file system."""
    splits = {folder: SPLIT_NAMES.get(folder.name.lower()) for folder in list_folders(root)}
    for folder, split in splits.items():
        if not any(splits.values()):
            yield from _list_label(folder, "train")
        elif split is None:
            raise DataError(f"{folder} is next to split folders; expected train, validation or test.")
        else:
            for label_folder in list_entries(folder):
                yield from _list_label(label_folder, split)


def _list_label(folder: Path, split: str) -> list[LabelledImage]:
    if folder.name.strip().isdigit():
        raise DataError(
            f"{folder} is named by a number, which means another expression in every data set;"
            " rename it to a word such as angry or happy."
        )
    label = parse_word(folder.name, folder)
    return [LabelledImage(file, str(file), label, split) for file in list_entries(folder)]
