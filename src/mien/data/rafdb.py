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
from mien.core.expressions import Expression, LabelSet
from mien.data.dataset import FaceDataset
from mien.data.image_files import LabelledImage, build_dataset, errors_with, read_csv, read_text
from mien.data.options import LoadOptions

LIST = Path("EmoLabel") / "list_patition_label.txt"
ALIGNED = Path("Image") / "aligned"
ATTRIBUTES = Path("Annotation") / "manual"
TABLES = {"train": "train_labels.csv", "test": "test_labels.csv"}
TABLE_IMAGES = "DATASET"
EXPECTS = (
    f"a folder with {LIST.as_posix()} and {ALIGNED.as_posix()}/train_00001_aligned.jpg, or basic/ above both;"
    f" or with {TABLES['train']}, {TABLES['test']} and {TABLE_IMAGES}/train/1/train_00001_aligned.jpg"
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
# The original lists have 15,339 lines of about 20 bytes.
LARGEST_LIST = 16 * 2**20
LARGEST_ATTRIBUTES = 4096


def matches(path: Path) -> bool:
    """Return whether a folder, or basic/ in it, has the authors' label list, or both label tables."""
    return any((root / LIST).is_file() for root in (path, path / "basic")) or _has_tables(path)


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load RAF-DB's basic expressions.

    The splits are those of the file names, train and test; `options.validation_share` of train is set aside for
    validation, per label. Metadata columns: `gender`, `race` and `age` (a range of years), if `Annotation/manual`
    exists.

    Raises:
        DataError: A file is missing or unreadable, a line, a label or an attribute is invalid, or an image is listed
            twice.
    """
    with errors_with(ORIGIN):
        return build_dataset("rafdb", _list(path), LABELS, options)


def _list(path: Path | None) -> list[LabelledImage]:
    if path is not None and _has_tables(path):
        return [image for split in TABLES for image in _list_table(path, split)]
    roots = [] if path is None else [root for root in (path, path / "basic") if (root / LIST).is_file()]
    if not roots:
        raise DataError(f"No RAF-DB at {path}: expected {EXPECTS}.")
    images = list(_list_original(roots[0]))
    if not images:
        raise DataError(f"{roots[0] / LIST} has no lines; expected one per image, as train_00001.jpg 5.")
    return images


def _list_original(root: Path) -> Iterator[LabelledImage]:
    if not (root / ALIGNED).is_dir():
        raise DataError(f"{root} has {LIST.as_posix()} but no folder {ALIGNED.as_posix()}; unpack aligned.zip there.")
    has_attributes = (root / ATTRIBUTES).is_dir()
    for number, line in enumerate(read_text(root / LIST, LARGEST_LIST).splitlines(), start=1):
        where = f"{root / LIST}, line {number}"
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or (match := NAME.fullmatch(fields[0])) is None:
            raise DataError(f"{where} is '{line[:60]}'; expected a file name and a label, as train_00001.jpg 5.")
        identity = f"{match[1]}_{match[2]}"
        file = root / ALIGNED / f"{identity}_aligned.jpg"
        attributes = _read_attributes(root / ATTRIBUTES / f"{identity}_manu_attri.txt") if has_attributes else {}
        yield LabelledImage(file, identity, _parse_label(fields[1], where), match[1], metadata=attributes)


def _has_tables(path: Path) -> bool:
    return all((path / table).is_file() for table in TABLES.values())


def _list_table(root: Path, split: str) -> list[LabelledImage]:
    table = root / TABLES[split]
    lines = read_csv(table, LARGEST_LIST)
    if not lines or lines[0] != ["image", "label"]:
        raise DataError(f"{table}, line 1: expected the columns image, label.")
    images = []
    for number, fields in enumerate(lines[1:], start=2):
        where = f"{table}, line {number}"
        if not fields:
            continue
        if len(fields) != 2 or (match := NAME.fullmatch(fields[0])) is None or match[1] != split:
            raise DataError(f"{where} is '{','.join(fields)[:60]}'; expected {split}_00001_aligned.jpg,5.")
        file = root / TABLE_IMAGES / split / fields[1] / fields[0]
        images.append(LabelledImage(file, f"{match[1]}_{match[2]}", _parse_label(fields[1], where), split))
    if not images:
        raise DataError(f"{table} has a header but no rows.")
    return images


def _parse_label(text: str, where: str) -> Expression:
    numbers = {str(i): expression for i, expression in enumerate(LABELS, start=1)}
    if text not in numbers:
        known = ", ".join(f"{number} {expression.value}" for number, expression in numbers.items())
        raise DataError(f"{where} has label '{text[:20]}'; expected {known}.")
    return numbers[text]


def _read_attributes(file: Path) -> dict[str, str]:
    """Read gender, race and age: the last three lines, after five landmarks; nothing if there is no file."""
    if not file.exists():
        return {}
    fields = read_text(file, LARGEST_ATTRIBUTES).split()
    found = {}
    for (column, values), text in zip(ATTRIBUTE_VALUES.items(), fields[-3:], strict=False):
        if text not in map(str, range(len(values))):
            raise DataError(f"{file} has {column} '{text[:20]}'; expected a number from 0 to {len(values) - 1}.")
        found[column] = values[int(text)]
    if len(found) != 3:
        raise DataError(f"{file} has {len(fields)} numbers; expected five landmarks, gender, race and age.")
    return found
