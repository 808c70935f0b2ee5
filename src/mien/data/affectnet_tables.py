"""AffectNet's labels as tables: its own training.csv and validation.csv, and those of later editions.

| edition | tables | columns used |
|---|---|---|
| the authors' | training.csv, validation.csv | subDirectory_filePath, face_x, ..., expression, valence, arousal |
| Hugging Face image folder | train/metadata.csv, val/metadata.csv | file_name, label or expression |
| Kaggle "affectnet-training-data" | labels.csv | pth, label |
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.types import Box
from mien.data.folder import SPLIT_NAMES
from mien.data.image_files import LabelledImage
from mien.data.label_files import parse_number, parse_word, read_table

# AffectNet's numbers 0 to 7, in that order; 8 (none), 9 (uncertain) and 10 (no face) are not expressions.
LABELS = LabelSet.of(["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"])
OTHER_NUMBERS = ("8", "9", "10")
OWN_TABLES = {"training.csv": "train", "validation.csv": "validation"}
TABLE_FOLDERS = ("", "Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_file_lists")
IMAGE_FOLDERS = ("Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated_Images", "Manually_Annotated")
FILE_COLUMNS = ("subDirectory_filePath", "file_name", "pth")
LABEL_COLUMNS = ("expression", "label")
BOX_COLUMNS = ("face_x", "face_y", "face_width", "face_height")
MEASURES = ("valence", "arousal")
# The authors' validation.csv has no header in some downloads.
OWN_COLUMNS = (FILE_COLUMNS[0], *BOX_COLUMNS, "facial_landmarks", LABEL_COLUMNS[0], *MEASURES)


@dataclass(frozen=True)
class LabelTable:
    """A table, the split of its rows, and the folder that its file names are relative to."""

    file: Path
    split: str
    images: Path


def has_own_tables(path: Path) -> bool:
    """Return whether a folder has the authors' tables, or Kaggle's labels.csv with the column `pth`."""
    own = (path / folder / "training.csv" for folder in TABLE_FOLDERS)
    return any(FILE_COLUMNS[0] in _read_header(file) for file in own) or "pth" in _read_header(path / "labels.csv")


def _read_header(file: Path) -> list[str]:
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        return stream.readline(1024).decode("utf-8-sig", "replace").rstrip().split(",")


def find_tables(path: Path) -> list[LabelTable]:
    """Return the tables of whichever edition a folder holds; none if it has no table."""
    for lists in (path / folder for folder in TABLE_FOLDERS):
        if any((lists / name).is_file() for name in OWN_TABLES):
            images = next((path / name for name in IMAGE_FOLDERS if (path / name).is_dir()), path)
            return [LabelTable(lists / name, split, images) for name, split in OWN_TABLES.items()]
    if (path / "labels.csv").is_file():
        return [LabelTable(path / "labels.csv", "train", path)]
    tables = [LabelTable(path / name / "metadata.csv", split, path / name) for name, split in SPLIT_NAMES.items()]
    return [table for table in tables if table.file.is_file()]


def list_table(table: LabelTable, kept: LabelSet) -> Iterator[LabelledImage]:
    """Yield the images of a table whose expression is in `kept`, row by row: the authors' has about 415,000 long rows.

    Raises:
        DataError: A column is missing or a field is invalid; the message has the line number.
    """
    for where, row in read_table(table.file, (), default_header=OWN_COLUMNS):
        name, label = (_first_of(row, columns, where) for columns in (FILE_COLUMNS, LABEL_COLUMNS))
        expression = parse_label(label, where)
        if expression and expression in kept:
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or not path.name:
                raise DataError(f"{where} has file '{str(path)[:60]}'; expected a path below {table.images}.")
            metadata = {measure: row[measure] for measure in MEASURES if measure in row}
            box = _parse_box([row[column] for column in BOX_COLUMNS], where) if row.keys() >= set(BOX_COLUMNS) else None
            file = table.images / path
            yield LabelledImage(file, str(file), expression, table.split, box=box, metadata=metadata)


def parse_label(text: str, where: object) -> str | None:
    """Return the expression for one of AffectNet's numbers or a word; None for 8 to 10, which are not expressions.

    Raises:
        DataError: It is neither; the message starts with `where`.
    """
    if text in OTHER_NUMBERS:
        return None
    return parse_word(text, where) if text.isalpha() else parse_number(text, LABELS, where, first=0)


def _first_of(row: dict[str, str], columns: tuple[str, ...], where: str) -> str:
    for column in columns:
        if column in row:
            return row[column]
    raise DataError(f"{where}: found the columns {', '.join(row)[:100]}; expected a column {' or '.join(columns)}.")


def _parse_box(texts: list[str], where: str) -> Box:
    try:
        x, y, width, height = map(float, texts)
    except ValueError:
        x = y = width = height = math.nan
    if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
        raise DataError(f"{where} has face box '{','.join(texts)[:60]}'; expected x, y, width and height in pixels.")
    return Box(x, y, width, height)
