"""Reads the folders, texts and tables of data sets; an error in them becomes one line that names the place."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from mien.core.decoding import SUFFIXES
from mien.core.errors import DataError
from mien.core.expressions import KNOWN, LabelSet
from mien.core.text import encoding_of
from mien.core.text import read_text as read_any_text

# What operating systems and archivers leave behind; hidden files and folders are skipped too.
LITTER = ("thumbs.db", "desktop.ini", "__macosx")
ALL_LABELS = LabelSet(KNOWN)


@contextlib.contextmanager
def errors_with(origin: str) -> Iterator[None]:
    """Add where to get the data set to every `DataError` raised inside."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error} {origin}") from None


@contextlib.contextmanager
def reading(path: Path, expected: str = "UTF-8 text") -> Iterator[None]:
    """Turn errors while reading a file or folder into a `DataError` that names it and says what is expected."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, EOFError, csv.Error):
        raise DataError(f"{path} is not {expected}.") from None


def list_entries(folder: Path) -> list[Path]:
    """Return a folder's entries, sorted, without hidden files and litter; `DataError` if it cannot be read."""
    with reading(folder):
        entries = sorted(folder.iterdir())
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in LITTER]


def list_folders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, sorted."""
    return [entry for entry in list_entries(folder) if entry.is_dir()]


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted: those with a suffix that can be decoded."""
    return [entry for entry in list_entries(folder) if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]


def walk_files(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a folder and of the folders below it that end in one of `suffixes`, sorted in each folder.

    `suffixes` are in lower case; file names in either. Hidden files and folders, litter and links to folders are left
    out; `DataError` if a folder cannot be read.
    """
    entries = list_entries(folder)
    yield from (entry for entry in entries if entry.suffix.lower() in suffixes and not entry.is_dir())
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from walk_files(entry, suffixes)


def read_text(path: Path) -> str:
    """Read a text file; `DataError` if it cannot be read."""
    with reading(path):
        return read_any_text(path)


def read_table(
    path: Path, columns: Sequence[str], default_header: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a CSV file as {column: text}, each after its place in words: "FILE, line 2".

    Args:
        path: The file; it is read row by row.
        columns: Required, in any order, in upper or lower case.
        default_header: The columns of a file whose first line has as many fields and none of these names.

    Raises:
        DataError: A column is missing, a row does not fit the header, or the file is not CSV text.
    """
    with reading(path, "CSV text"):
        with path.open("rb") as start:
            encoding = encoding_of(start.read(4))
        with path.open(encoding=encoding, newline="") as file:
            yield from _read_rows(path, file, columns, default_header)


def parse_number(text: str, labels: Iterable[str], where: object, first: int = 1) -> str:
    """Return the expression of a number, if `labels` are numbered from `first`; `DataError` names the place."""
    numbers = {float(i): name for i, name in enumerate(labels, first)}
    try:
        return numbers[float(text)]
    except (KeyError, ValueError):
        known = ", ".join(f"{number:.0f} {name}" for number, name in numbers.items())
        raise DataError(f"{where} has label '{text[:20]}'; expected {known}.") from None


def parse_word(word: str, where: object, labels: LabelSet = ALL_LABELS) -> str:
    """Return the expression of a name or synonym; `DataError` names the place if it is not one of `labels`."""
    try:
        return labels.names[labels.index(word)]
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _read_rows(
    path: Path, file: TextIO, columns: Sequence[str], default_header: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    rows = csv.reader(file)
    first = [field.strip() for field in next(rows, [])]
    spelling = {column.lower(): column for column in columns}
    header, before = [spelling.get(name.lower(), name) for name in first], []
    if len(first) == len(default_header) and not set(first) & set(default_header):
        header, before = list(default_header), [first]
    missing = [column for column in columns if column not in header]
    if missing:
        found = ", ".join(first)[:200] or "nothing"
        raise DataError(f"{path}, line 1 has no column '{missing[0]}': found {found}; expected {', '.join(columns)}.")
    for fields in filter(None, chain(before, rows)):
        where = f"{path}, line {rows.line_num}"
        if len(fields) != len(header):
            raise DataError(f"{where} has {len(fields)} columns; expected {len(header)}.")
        yield where, dict(zip(header, map(str.strip, fields), strict=True))
