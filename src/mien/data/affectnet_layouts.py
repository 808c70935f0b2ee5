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
from mien.core.expressions import LabelSet
from mien.data import affectnet_tables as tables
from mien.data.dataset import FaceDataset
from mien.data.folder import SPLIT_NAMES
from mien.data.image_files import LabelledImage, build_dataset
from mien.data.label_files import errors_with, list_entries, list_folders, list_images, reading
from mien.data.options import LoadOptions

LABELS = tables.LABELS
EXPECTS = (
    "a folder with training.csv, validation.csv and Manually_Annotated_Images;"
    " or with train_set/images/0.jpg, train_set/annotations/0_exp.npy and val_set alike;"
    " or with train/metadata.csv (file_name, label) and val alike; or with labels.csv (pth, label);"
    " or with train/anger/* (or train/6/*, AffectNet's numbers) and val alike"
)
ORIGIN = "AffectNet is available on request: http://mohammadmahoor.com/affectnet/."
ARRAY_SETS = {"train_set": "train", "val_set": "validation", "test_set": "test"}
EXPRESSION = "_exp.npy"
MEASURES = {"valence": "_val.npy", "arousal": "_aro.npy"}


def is_affectnet(path: Path) -> bool:
    """Return whether a folder has what only AffectNet has: its tables or its annotation arrays."""
    return (path / "train_set" / "annotations").is_dir() or tables.has_own_tables(path)


@errors_with(ORIGIN)
def load_affectnet(name: str, label_set: LabelSet, path: Path, options: LoadOptions) -> FaceDataset:
    """Load the images whose expression is in `label_set`; the others are not opened.

    Unless a split is named test, AffectNet's validation set is `test`, and `options.validation_share` of train is set
    aside for validation, per label. Metadata columns: `valence` and `arousal` (-1 to 1, as text), if the layout has
    them.

    Args:
        name: The data set's name.
        label_set: Which of the eight expressions to keep, in this order.
        path: A folder of any of the layouts in `EXPECTS`.
        options: Size, channels, crop of the authors' face boxes, seed and validation share.

    Raises:
        DataError: A file is missing or unreadable, a label is unknown, or an image is listed twice.
    """
    images = list(_list(path, label_set)) if path.is_dir() else []
    if not images:
        raise DataError(f"No AffectNet at {path}: expected {EXPECTS}.")
    if not any(image.split == "test" for image in images):
        images = [dataclasses.replace(i, split="test") if i.split == "validation" else i for i in images]
    return build_dataset(name, images, label_set, options)


def _list(path: Path, kept: LabelSet) -> Iterator[LabelledImage]:
    if any((path / name).is_dir() for name in ARRAY_SETS):
        for name, split in ARRAY_SETS.items():
            if split != "test" or (path / name).is_dir():
                yield from _list_arrays(path / name, split, kept)
    elif found := tables.find_tables(path):
        for table in found:
            yield from tables.list_table(table, kept)
    else:
        yield from _list_folders(path, kept)


def _list_arrays(root: Path, split: str, kept: LabelSet) -> Iterator[LabelledImage]:
    annotations, folder = root / "annotations", root / "images"
    names = [f.name.removesuffix(EXPRESSION) for f in list_entries(annotations) if f.name.endswith(EXPRESSION)]
    images: dict[str, Path] = {}
    for image in list_images(folder):
        if image.stem in images:
            raise DataError(f"Image '{image.stem}' exists twice: {images[image.stem]} and {image}; remove one.")
        images[image.stem] = image
    for name in dict.fromkeys([*names, *images]):
        file = annotations / f"{name}{EXPRESSION}"
        if name not in images:
            raise DataError(f"{folder / name}.jpg: no such file, but {file} labels it.")
        expression = tables.parse_label(_read_array(file), file)
        if expression and expression in kept:
            files = {column: annotations / f"{name}{suffix}" for column, suffix in MEASURES.items()}
            metadata = {column: _read_array(file) for column, file in files.items() if file.exists()}
            yield LabelledImage(images[name], f"{root.name}/{name}", expression, split, metadata=metadata)


def _read_array(file: Path) -> str:
    """Return the one value of an annotation, as text; the original stores numbers as text too."""
    with reading(file, "a NumPy file of one number or text"):
        value = np.load(file, allow_pickle=False)
    if np.size(value) != 1:
        raise DataError(f"{file} holds {np.size(value)} values; expected one.")
    return str(np.asarray(value).item()).strip()


def _list_folders(path: Path, kept: LabelSet) -> Iterator[LabelledImage]:
    for folder in list_folders(path):
        if split := SPLIT_NAMES.get(folder.name.lower()):
            for label_folder in list_folders(folder):
                expression = tables.parse_label(label_folder.name, label_folder)
                if expression and expression in kept:
                    yield from (LabelledImage(f, str(f), expression, split) for f in list_images(label_folder))
