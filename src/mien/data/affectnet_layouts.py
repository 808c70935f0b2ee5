"""AffectNet in the layouts in which it is handed on: tables, annotation arrays, and folders by label.

Mollahosseini, Hasani and Mahoor, "AffectNet: a database for facial expression, valence, and arousal computing
in the wild", IEEE Transactions on Affective Computing 2019.

Its test set was never published; papers report on its validation set. That one is `test` here, and validation
images are set aside from training, so that nobody selects on what is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.core.errors import DataError
from mien.core.expressions import Expression, LabelSet, parse_expression
from mien.data import affectnet_tables as tables
from mien.data.dataset import FaceDataset
from mien.data.folder import SPLIT_NAMES
from mien.data.image_files import LabelledPicture, build_dataset, list_entries, list_pictures, name_origin
from mien.data.registry import LoadOptions

EXPRESSIONS = tables.EXPRESSIONS
EXPECTS = (
    "a folder with training.csv, validation.csv and Manually_Annotated_Images;"
    " or with train_set/images/0.jpg, train_set/annotations/0_exp.npy and val_set alike;"
    " or with train/metadata.csv (file_name, label) and val alike; or with labels.csv (pth, label);"
    " or with train/anger/* (or train/6/*, AffectNet's numbers) and val alike"
)
ORIGIN = "AffectNet is given out on application: http://mohammadmahoor.com/affectnet/."
ARRAY_SETS = {"train_set": "train", "val_set": "validation", "test_set": "test"}
# The original's are 132 bytes: a header and one short text or number.
LARGEST_ARRAY = 4096
EXPRESSION_SUFFIX = "_exp"
MEASURES = {"valence": "_val", "arousal": "_aro"}


def is_affectnet(path: Path) -> bool:
    """Return whether a folder has what only AffectNet has: its tables or its annotation arrays."""
    return (path / "train_set" / "annotations").is_dir() or tables.has_own_tables(path)


def load_affectnet(name: str, label_set: LabelSet, path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load the pictures whose expression is in `label_set`; the others are not even opened.

    Splits: where nothing is named test, AffectNet's validation set is `test`. Where that leaves no validation,
    `options.validation_share` of train is set aside, per label and by `options.seed`. Metadata columns
    `valence` and `arousal` (-1 to 1, as text) are set where the layout has them.

    Args:
        name: The adapter's name.
        label_set: Which of the eight expressions to keep, in this order.
        path: The folder of any of the layouts in `EXPECTS`.
        options: Size, channels, seed and validation share.

    Raises:
        DataError: A file is absent, a label is unknown, a picture stands twice or cannot be read.
    """
    with name_origin(ORIGIN):
        pictures = [] if path is None or not path.is_dir() else _list(path, label_set)
        if not pictures:
            raise DataError(f"No AffectNet at {path}: expected {EXPECTS}.")
        return build_dataset(name, _settle_splits(pictures), label_set, options, subject_apart=False)


def _list(path: Path, label_set: LabelSet) -> list[LabelledPicture]:
    kept = frozenset(label_set)
    if any((path / name).is_dir() for name in ARRAY_SETS):
        return [p for name in ARRAY_SETS for p in _list_arrays(path / name, ARRAY_SETS[name], kept)]
    found = tables.find_tables(path)
    if found:
        return [picture for table in found for picture in tables.read_table(table, kept)]
    return list(_list_folders(path, kept))


def _settle_splits(pictures: list[LabelledPicture]) -> list[LabelledPicture]:
    if any(picture.split == "test" for picture in pictures):
        return pictures
    return [tables.with_split(p, "test") if p.split == "validation" else p for p in pictures]


def _list_arrays(root: Path, split: str, kept: frozenset[Expression]) -> Iterator[LabelledPicture]:
    if not root.is_dir():
        if split == "test":
            return
        raise DataError(f"{root}: no such folder; expected train_set and val_set with images/ and annotations/.")
    annotations, images = root / "annotations", root / "images"
    labels = [f for f in list_entries(annotations) if f.stem.endswith(EXPRESSION_SUFFIX) and f.suffix == ".npy"]
    names = {file.stem.removesuffix(EXPRESSION_SUFFIX) for file in labels}
    files: dict[str, Path] = {}
    for picture in list_pictures(images):
        if picture.stem in files:
            raise DataError(f"Picture '{picture.stem}' stands twice: {files[picture.stem]} and {picture}; remove one.")
        if picture.stem not in names:
            raise DataError(
                f"{annotations / picture.stem}{EXPRESSION_SUFFIX}.npy: no such file, but {picture} is there."
            )
        files[picture.stem] = picture
    for file in labels:
        name = file.stem.removesuffix(EXPRESSION_SUFFIX)
        if name not in files:
            raise DataError(f"{images / name}.jpg: no such file, but {file} labels it.")
        expression = tables.parse_label(_read_array(file), str(file))
        if expression in kept:
            metadata = {
                column: _read_array(annotations / f"{name}{suffix}.npy")
                for column, suffix in MEASURES.items()
                if (annotations / f"{name}{suffix}.npy").exists()
            }
            yield LabelledPicture(files[name], f"{root.name}/{name}", expression, split, metadata=metadata)


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


def _list_folders(path: Path, kept: frozenset[Expression]) -> Iterator[LabelledPicture]:
    folders = [entry for entry in list_entries(path) if entry.is_dir()]
    splits = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    for folder in splits:
        split = SPLIT_NAMES[folder.name.lower()]
        for label_folder in filter(Path.is_dir, list_entries(folder)):
            expression = _folder_label(label_folder)
            for file in list_pictures(label_folder):
                if expression in kept:
                    yield LabelledPicture(file, str(file), expression, split)


def _folder_label(folder: Path) -> Expression | None:
    if folder.name.isdigit():
        return tables.parse_label(folder.name, str(folder))
    try:
        return parse_expression(folder.name)
    except DataError as error:
        raise DataError(f"{folder} is not named after a label: {error}") from None
