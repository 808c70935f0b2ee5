"""RAF-DB, basic expressions: aligned faces from the web with one of seven labels each.

Li, Deng and Du, "Reliable crowdsourcing and deep locality-preserving learning for expression recognition in
the wild", CVPR 2017. Two layouts are read: the authors' (`EmoLabel`, `Image/aligned`), and that of the same aligned
crops on Kaggle (`DATASET/train/1/*`, `train_labels.csv`). `Image/original` is not read: it holds whole scenes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.data.dataset import FaceDataset
from mien.data.image_files import LabelledImage, build_dataset
from mien.data.label_files import errors_with, parse_number, read_table, read_text
from mien.data.options import LoadOptions

LIST = Path("EmoLabel") / "list_patition_label.txt"
ALIGNED = Path("Image") / "aligned"
ATTRIBUTES = Path("Annotation") / "manual"
TABLES = ("train_labels.csv", "test_labels.csv")
TABLE_IMAGES = "DATASET"
EXPECTS = (
    f"a folder with {LIST.as_posix()} and {ALIGNED.as_posix()}/train_00001_aligned.jpg, or basic/ above both;"
    f" or with {TABLES[0]}, {TABLES[1]} and {TABLE_IMAGES}/train/1/train_00001_aligned.jpg"
)
NEEDS_PATH = True
ORIGIN = "RAF-DB is available on request: http://www.whdeng.cn/raf/model1.html."
# The authors' numbers 1 to 7, in that order (readme of EmoLabel).
LABELS = LabelSet.of(["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"])
NAME = re.compile(r"(train|test)_(\d+)(_aligned)?\.jpg")
# By column: position i is number i (readme of Annotation/manual).
ATTRIBUTE_VALUES = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}


def matches(path: Path) -> bool:
    """Return whether a folder, or basic/ in it, has the authors' label list, or both label tables."""
    return any((root / LIST).is_file() for root in (path, path / "basic")) or _has_tables(path)


@errors_with(ORIGIN)
def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Load RAF-DB's basic expressions.

    The splits are those of the file names, train and test; `options.validation_share` of train is set aside for
    validation, per label. Metadata columns: `gender`, `race` and `age` (a range of years), if `Annotation/manual`
    exists.

    Raises:
        DataError: A file is missing or unreadable, a line, a label or an attribute is invalid, or an image is listed
            twice.
    """
    images = list(_list_tables(path) if _has_tables(path) else _list_original(path))
    if not images:
        raise DataError(f"No RAF-DB at {path}: expected {EXPECTS}.")
    return build_dataset("rafdb", images, LABELS, options)


def _list_original(path: Path) -> Iterator[LabelledImage]:
    root = next((root for root in (path, path / "basic") if (root / LIST).is_file()), None)
    if root is None:
        return
    if not (root / ALIGNED).is_dir():
        raise DataError(f"{root} has {LIST.as_posix()} but no folder {ALIGNED.as_posix()}; unpack aligned.zip there.")
    for number, line in enumerate(read_text(root / LIST).splitlines(), start=1):
        if fields := line.split():
            where = f"{root / LIST}, line {number}"
            split, identity = _parse_name(fields[0], where)
            file = root / ALIGNED / f"{identity}_aligned.jpg"
            label = parse_number(" ".join(fields[1:]), LABELS, where)
            attributes = _read_attributes(root / ATTRIBUTES / f"{identity}_manu_attri.txt")
            yield LabelledImage(file, identity, label, split, metadata=attributes)


def _has_tables(path: Path) -> bool:
    return all((path / table).is_file() for table in TABLES)


def _list_tables(root: Path) -> Iterator[LabelledImage]:
    for table in TABLES:
        for where, row in read_table(root / table, ("image", "label")):
            split, identity = _parse_name(row["image"], where)
            file = root / TABLE_IMAGES / split / row["label"] / row["image"]
            yield LabelledImage(file, identity, parse_number(row["label"], LABELS, where), split)


def _parse_name(name: str, where: str) -> tuple[str, str]:
    """Return the split and what identifies the image in both layouts: `train` and `train_00001`."""
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{where} has file '{name[:60]}'; expected a name as train_00001.jpg.")
    return match[1], f"{match[1]}_{match[2]}"


def _read_attributes(file: Path) -> dict[str, str]:
    """Read gender, race and age: the last three lines, after five landmarks; nothing if there is no file."""
    if not file.exists():
        return {}
    last = read_text(file).split()[-len(ATTRIBUTE_VALUES) :]
    try:
        numbers = zip(ATTRIBUTE_VALUES.items(), map(int, last), strict=True)
        return {column: values[number] for (column, values), number in numbers}
    except (ValueError, IndexError):
        found = " ".join(last)[:60]
        raise DataError(f"{file} ends with '{found}'; expected the numbers of gender, race and age.") from None
