"""AffectNet's labels as tables: its own training.csv and validation.csv, and those of later editions.

| edition | tables | columns used |
|---|---|---|
| the authors' | training.csv, validation.csv | subDirectory_filePath, face_x, ..., expression, valence, arousal |
| Hugging Face image folder | train/metadata.csv, val/metadata.csv | file_name, label or expression |
| Kaggle "affectnet-training-data" | labels.csv | pth, label |
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from mien.core.errors import DataError
from mien.core.expressions import Expression, parse_expression
from mien.core.types import Box
from mien.data.folder import SPLIT_NAMES
from mien.data.image_files import LabelledImage

# AffectNet's numbers 0 to 7, in that order; 8 (none), 9 (uncertain) and 10 (no face) are not expressions.
EXPRESSIONS = tuple(
    map(parse_expression, ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"))
)
OTHER_NUMBERS = ("8", "9", "10")
OWN_TABLES = {"training.csv": "train", "validation.csv": "validation"}
TABLE_FOLDERS = ("", "Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_file_lists")
IMAGE_FOLDERS = ("Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated_Images", "Manually_Annotated")
# The authors' validation.csv has no header in some downloads.
OWN_COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
FILE_COLUMNS = ("subDirectory_filePath", "file_name", "pth")
LABEL_COLUMNS = ("expression", "label")
BOX_COLUMNS = ("face_x", "face_y", "face_width", "face_height")
MEASURES = ("valence", "arousal")


@dataclass(frozen=True)
class LabelTable:
    """A table, the split of its rows, and the folder that its file names are relative to."""

    file: Path
    split: str
    images: Path


def has_own_tables(path: Path) -> bool:
    """Return whether a folder has the authors' tables, or Kaggle's labels.csv with the column `pth`."""
    if any(FILE_COLUMNS[0] in _read_header(path / folder / "training.csv") for folder in TABLE_FOLDERS):
        return True
    return "pth" in _read_header(path / "labels.csv")


def _read_header(file: Path) -> list[str]:
    """Return the words of the first line; none if the file does not exist."""
    try:
        with file.open("rb") as stream:
            return stream.readline(1024).decode("utf-8-sig", "replace").rstrip().split(",")
    except OSError:
        return []


def find_tables(path: Path) -> list[LabelTable]:
    """Return the tables of whichever edition a folder holds; none if it has no table.

    Raises:
        DataError: One of the authors' two tables is missing.
    """
    for folder in TABLE_FOLDERS:
        lists = path / folder
        if any((lists / name).is_file() for name in OWN_TABLES):
            for name in OWN_TABLES:
                if not (lists / name).is_file():
                    raise DataError(f"{lists / name}: no such file; expected {' and '.join(OWN_TABLES)} together.")
            images = next((path / name for name in IMAGE_FOLDERS if (path / name).is_dir()), path)
            return [LabelTable(lists / name, split, images) for name, split in OWN_TABLES.items()]
    if (path / "labels.csv").is_file():
        return [LabelTable(path / "labels.csv", "train", path)]
    return [
        LabelTable(path / name / "metadata.csv", split, path / name)
        for name, split in SPLIT_NAMES.items()
        if (path / name / "metadata.csv").is_file()
    ]


def read_table(table: LabelTable, kept: frozenset[Expression]) -> Iterator[LabelledImage]:
    """Yield the images of a table whose expression is in `kept`, row by row: the authors' has about 415,000 long rows.

    Raises:
        DataError: A column is missing or a field is invalid; the message has the line number.
    """
    try:
        with table.file.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            first = next(rows, [])
            has_header = len(first) != len(OWN_COLUMNS) or any(column in OWN_COLUMNS for column in first)
            header = first if has_header else list(OWN_COLUMNS)
            file_column, label_column = (_find(header, names, table.file) for names in (FILE_COLUMNS, LABEL_COLUMNS))
            for fields in filter(None, chain([] if has_header else [first], rows)):
                where = f"{table.file}, line {rows.line_num}"
                if len(fields) != len(header):
                    raise DataError(f"{where} has {len(fields)} columns; expected {len(header)}.")
                row = dict(zip(header, fields, strict=True))
                expression = parse_label(row[label_column], where)
                if expression is not None and expression in kept:
                    yield _make_image(row, row[file_column], expression, table, where)
    except OSError as error:
        raise DataError(f"{table.file} cannot be read ({error.strerror or error}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table.file} is not CSV text ({error}).") from None


def parse_label(text: str, where: str) -> Expression | None:
    """Return the expression for one of AffectNet's numbers or a word; None for 8 to 10, which are not expressions.

    Raises:
        DataError: It is neither; the message starts with `where`.
    """
    text = text.strip()
    if text in OTHER_NUMBERS:
        return None
    if text.isdecimal() and int(text) < len(EXPRESSIONS):
        return EXPRESSIONS[int(text)]
    try:
        return parse_expression(text)
    except DataError:
        known = ", ".join(f"{i} {e.value}" for i, e in enumerate(EXPRESSIONS))
        raise DataError(f"{where} has expression '{text[:20]}'; expected {known}, or 8 to 10 for none.") from None


def _find(header: list[str], names: tuple[str, ...], file: Path) -> str:
    found = next((name for name in names if name in header), None)
    if found is None:
        columns = ", ".join(header)[:100] or "nothing"
        raise DataError(f"{file}, line 1: found {columns}; expected a column {' or '.join(names)}.")
    return found


def _make_image(row: dict[str, str], name: str, label: Expression, table: LabelTable, where: str) -> LabelledImage:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise DataError(f"{where} has file '{str(path)[:60]}'; expected a path below {table.images}.")
    metadata = {measure: row[measure] for measure in MEASURES if measure in row}
    box = _parse_box([row[column] for column in BOX_COLUMNS], where) if row.keys() >= set(BOX_COLUMNS) else None
    file = table.images / path
    return LabelledImage(file, str(file), label, table.split, box=box, metadata=metadata)


def _parse_box(texts: list[str], where: str) -> Box:
    try:
        x, y, width, height = map(float, texts)
    except ValueError:
        x = y = width = height = math.nan
    if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
        raise DataError(f"{where} has face box '{','.join(texts)[:60]}'; expected x, y, width and height in pixels.")
    return Box(x, y, width, height)
