"""AffectNet in the layouts in which it is distributed: tables, annotation arrays, and folders by label.

Mollahosseini, Hasani and Mahoor, "AffectNet: a database for facial expression, valence, and arousal computing
in the wild", IEEE Transactions on Affective Computing 2019.

Its test set was never published, so papers report on its validation set. That set is `test` here, and validation
images are set aside from training, so that the epoch is not selected on the reported images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.core.errors import DataError
from mien.core.expressions import Expression, LabelSet
from mien.data import affectnet_tables as tables
from mien.data.dataset import FaceDataset
from mien.data.folder import SPLIT_NAMES
from mien.data.image_files import (
    LabelledImage,
    build_dataset,
    errors_with,
    list_entries,
    list_folders,
    list_images,
    parse_folder_label,
)
from mien.data.options import LoadOptions

EXPRESSIONS = tables.EXPRESSIONS
EXPECTS = (
    "a folder with training.csv, validation.csv and Manually_Annotated_Images;"
    " or with train_set/images/0.jpg, train_set/annotations/0_exp.npy and val_set alike;"
    " or with train/metadata.csv (file_name, label) and val alike; or with labels.csv (pth, label);"
    " or with train/anger/* (or train/6/*, AffectNet's numbers) and val alike"
)
ORIGIN = "AffectNet is available on request: http://mohammadmahoor.com/affectnet/."
ARRAY_SETS = {"train_set": "train", "val_set": "validation", "test_set": "test"}
# The original's are 132 bytes: a header and one short text or number.
LARGEST_ARRAY = 4096
EXPRESSION_SUFFIX = "_exp"
MEASURES = {"valence": "_val", "arousal": "_aro"}


def is_affectnet(path: Path) -> bool:
    """Return whether a folder has what only AffectNet has: its tables or its annotation arrays."""
    return (path / "train_set" / "annotations").is_dir() or tables.has_own_tables(path)


def load_affectnet(name: str, label_set: LabelSet, path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load the images whose expression is in `label_set`; the others are not opened.

    Unless a split is named test, AffectNet's validation set is `test`, and `options.validation_share` of train is set
    aside for validation, per label. Metadata columns: `valence` and `arousal` (-1 to 1, as text), if the layout has
    them.

    Args:
        name: The data set's name.
        label_set: Which of the eight expressions to keep, in this order.
        path: A folder of any of the layouts in `EXPECTS`.
        options: Size, channels, seed and validation share.

    Raises:
        DataError: A file is missing or unreadable, a label is unknown, or an image is listed twice.
    """
    with errors_with(ORIGIN):
        images = [] if path is None or not path.is_dir() else _list(path, frozenset(label_set))
        if not images:
            raise DataError(f"No AffectNet at {path}: expected {EXPECTS}.")
        if not any(image.split == "test" for image in images):
            images = [dataclasses.replace(i, split="test") if i.split == "validation" else i for i in images]
        return build_dataset(name, images, label_set, options)


def _list(path: Path, kept: frozenset[Expression]) -> list[LabelledImage]:
    if any((path / name).is_dir() for name in ARRAY_SETS):
        return [image for name, split in ARRAY_SETS.items() for image in _list_arrays(path / name, split, kept)]
    if found := tables.find_tables(path):
        return [image for table in found for image in tables.read_table(table, kept)]
    return list(_list_folders(path, kept))


def _list_arrays(root: Path, split: str, kept: frozenset[Expression]) -> Iterator[LabelledImage]:
    if not root.is_dir():
        if split == "test":
            return
        raise DataError(f"{root}: no such folder; expected train_set and val_set with images/ and annotations/.")
    annotations, folder = root / "annotations", root / "images"
    labels = [f for f in list_entries(annotations) if f.stem.endswith(EXPRESSION_SUFFIX) and f.suffix == ".npy"]
    names = {file.stem.removesuffix(EXPRESSION_SUFFIX) for file in labels}
    images: dict[str, Path] = {}
    for image in list_images(folder):
        if image.stem in images:
            raise DataError(f"Image '{image.stem}' exists twice: {images[image.stem]} and {image}; remove one.")
        if image.stem not in names:
            raise DataError(f"{annotations / image.stem}{EXPRESSION_SUFFIX}.npy: no such file, but {image} exists.")
        images[image.stem] = image
    for file in labels:
        name = file.stem.removesuffix(EXPRESSION_SUFFIX)
        if name not in images:
            raise DataError(f"{folder / name}.jpg: no such file, but {file} labels it.")
        expression = tables.parse_label(_read_array(file), str(file))
        if expression in kept:
            metadata = {
                column: _read_array(annotations / f"{name}{suffix}.npy")
                for column, suffix in MEASURES.items()
                if (annotations / f"{name}{suffix}.npy").exists()
            }
            yield LabelledImage(images[name], f"{root.name}/{name}", expression, split, metadata=metadata)


def _read_array(file: Path) -> str:
    """Return the one value of an annotation, as text; the original stores numbers as text too."""
    try:
        if file.stat().st_size > LARGEST_ARRAY:
            raise DataError(f"{file} has more than {LARGEST_ARRAY} bytes; expected one value.")
        value = np.load(file, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}).") from None
    except (ValueError, EOFError, MemoryError):
        raise DataError(f"{file} is not a NumPy file of one number or text.") from None
    if np.size(value) != 1:
        raise DataError(f"{file} holds {np.size(value)} values; expected one.")
    return str(np.asarray(value).item())


def _list_folders(path: Path, kept: frozenset[Expression]) -> Iterator[LabelledImage]:
    for folder in list_folders(path):
        split = SPLIT_NAMES.get(folder.name.lower())
        for label_folder in list_folders(folder) if split else ():
            if label_folder.name.isdigit():
                expression = tables.parse_label(label_folder.name, str(label_folder))
            else:
                expression = parse_folder_label(label_folder)
            if split and expression in kept:
                yield from (LabelledImage(file, str(file), expression, split) for file in list_images(label_folder))
