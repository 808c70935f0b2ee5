"""Any folder of face crops sorted by label: `SPLIT/LABEL/*` (FER2013's image download) or `LABEL/*`.

Labels are the names of the folders: the eight expressions, or words of one's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import KNOWN, LabelSet, canonical, check_name, tidy
from mien.core.text import count, listed
from mien.data.dataset import FaceDataset
from mien.data.image_files import LabelledImage, build_dataset
from mien.data.label_files import list_entries, list_folders, list_images
from mien.data.options import LoadOptions

EXPECTS = "a folder of images as SPLIT/LABEL/* (train/angry/1.jpg) or LABEL/* (angry/1.jpg), two labels or more"
NEEDS_PATH = True
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def matches(path: Path) -> bool:
    """Return whether a folder has a subfolder named after a split, or several with images or an expression's name."""
    folders = list_folders(path) if path.is_dir() else []
    if any(folder.name.strip().lower() in SPLIT_NAMES for folder in folders):
        return True
    return sum(canonical(folder.name) in KNOWN or bool(list_images(folder)) for folder in folders) > 1


def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Read all images of a folder.

    The labels are those that have images: expressions in FER2013's order, contempt last, then other words by name.
    Without a validation folder, `options.validation_share` of the training images is set aside, per label; without
    split folders, all images are training images. The notes name the folders that are read as another label.

    Raises:
        DataError: A folder's name cannot be a label, a file is not a readable image, or fewer than two labels have
            images.
    """
    images = list(_list(path)) if path.is_dir() else []
    if not images:
        raise DataError(f"No images at {path}: expected {EXPECTS}.")
    spelling: dict[str, str] = {}  # train/Calm and test/calm are one label
    images = [replace(i, label=spelling.setdefault(i.label.casefold(), i.label)) for i in images]
    notes = _describe_names(images)
    present = {image.label for image in images}
    if len(present) < 2:
        why = f" ({'; '.join(notes)})" if notes else ""
        raise DataError(
            f"{path} has {count(len(images), 'image')} of one label, {images[0].label}{why};"
            " expected two labels or more, each in a folder of its own."
        )
    own = sorted(present.difference(KNOWN), key=lambda name: (name.casefold(), name))
    labels = LabelSet.of([*(name for name in KNOWN if name in present), *own])
    return replace(build_dataset("folder", images, labels, options), folder=tidy(path.resolve().name), notes=notes)


def _describe_names(images: Sequence[LabelledImage]) -> tuple[str, ...]:
    """Return a sentence for each label that is not its folder's name, or that several folders of one split have.

    Upper and lower case do not count, nor does one name in several splits.
    """
    folders: dict[str, dict[Path, None]] = {}  # sets that keep their order
    for image in images:
        folders.setdefault(image.label, {})[image.path.parent] = None
    notes = []
    for label, paths in folders.items():
        names = [tidy(name) for name in dict.fromkeys(path.name for path in paths)]
        words = {name.casefold() for name in names}
        if len(words) > 1 or max(Counter(path.parent for path in paths).values()) > 1:
            notes.append(f"folders {listed(names)} are {'both' if len(names) == 2 else 'all'} read as {label}")
        elif words != {label.casefold()}:
            notes.append(f"folder {names[0]} is read as {label}")
    return tuple(notes)


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
    if not folder.is_dir():
        raise DataError(f"{folder} is next to label folders; expected folders named by their label.")
    if folder.name.strip().isdigit():
        raise DataError(
            f"{folder} is named by a number, which means another expression in every data set;"
            " rename it to a word such as angry or happy."
        )
    label = canonical(folder.name)
    try:
        check_name(label)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None
    return [LabelledImage(file, str(file), label, split) for file in list_entries(folder)]
