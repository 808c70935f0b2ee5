"""Parses the ICML 2013 challenge's text file: `fer2013.csv`, or `icml_face_data.csv` of the same content.

Each row is a face: a class number, 48 * 48 grey values as decimal text, and the part of the challenge it belongs
to. Whole-array arithmetic turns 270 MB of digits into 74 MB of pixels, a few hundred rows at a time.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS

SIDE = 48
PIXELS = SIDE * SIDE
COLUMNS = ("emotion", "pixels", "Usage")
# Position i is usage code i.
USAGES = ("Training", "PublicTest", "PrivateTest")
# A valid line has at most 2304 * 4 bytes and two short columns.
LINE_LIMIT = 64 * 1024
# About 4 MB of text: little memory, but enough for whole-array arithmetic to pay off.
ROWS_PER_CHUNK = 512
SPACE, ZERO = 32, 48

EMOTION_CODES = {str(i).encode(): i for i in range(len(FER2013_LABELS))}
USAGE_CODES = {usage.encode(): i for i, usage in enumerate(USAGES)}


@dataclass(frozen=True)
class ChallengeRows:
    """The file's rows, in its order.

    Attributes:
        images: (n, 48, 48) uint8.
        emotions: (n,) uint8, 0 to 6, position in `FER2013_LABELS`.
        usages: (n,) uint8, position in `USAGES`.
    """

    images: NDArray[np.uint8]
    emotions: NDArray[np.uint8]
    usages: NDArray[np.uint8]


@dataclass(frozen=True)
class _Line:
    number: int
    emotion: int
    usage: int
    pixels: bytes


def parse_challenge(path: Path) -> ChallengeRows:
    """Parse the whole file.

    Raises:
        DataError: A column is missing, a class number is outside 0 to 6, a usage is unknown, or a row does not have
            2304 pixels of 0 to 255; the message has the line number.
    """
    images, emotions, usages = [], [], []
    try:
        with path.open("rb") as file:
            lines = _read_lines(file, path)
            while chunk := list(islice(lines, ROWS_PER_CHUNK)):
                images.append(_parse_pixels(chunk, path))
                emotions += [line.emotion for line in chunk]
                usages += [line.usage for line in chunk]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if not images:
        raise DataError(f"{path} has a header but no rows.")
    return ChallengeRows(
        images=np.concatenate(images),
        emotions=np.array(emotions, dtype=np.uint8),
        usages=np.array(usages, dtype=np.uint8),
    )


def _read_lines(file: BinaryIO, path: Path) -> Iterator[_Line]:
    header = _split(file.readline(LINE_LIMIT).removeprefix(codecs.BOM_UTF8))
    if header == [b""]:
        raise DataError(f"{path} is empty or starts with an empty line; expected a header {','.join(COLUMNS)}.")
    names = [name.lower() for name in header]
    for column in COLUMNS:
        if column.lower().encode() not in names:
            found = ", ".join(_shown(name) for name in header[:10])
            _fail(path, 1, f"has no column '{column}'; found {found}; expected {', '.join(COLUMNS)}")
    emotion_at, pixels_at, usage_at = (names.index(column.lower().encode()) for column in COLUMNS)
    number = 1
    while text := file.readline(LINE_LIMIT):
        number += 1
        if text.isspace():
            continue
        if len(text) == LINE_LIMIT:
            _fail(path, number, f"is longer than {LINE_LIMIT} bytes; expected {PIXELS} pixels per line")
        fields = _split(text)
        if len(fields) != len(header):
            _fail(path, number, f"has {len(fields)} columns; the header has {len(header)}")
        emotion, usage = EMOTION_CODES.get(fields[emotion_at]), USAGE_CODES.get(fields[usage_at])
        if emotion is None:
            _fail(path, number, f"has emotion {_shown(fields[emotion_at])}; expected a number from 0 to 6")
        if usage is None:
            _fail(path, number, f"has Usage {_shown(fields[usage_at])}; expected {', '.join(USAGES)}")
        yield _Line(number, emotion, usage, fields[pixels_at])


def _split(text: bytes) -> list[bytes]:
    return [field.strip(b' "\r\n') for field in text.split(b",")]


def _parse_pixels(lines: list[_Line], path: Path) -> NDArray[np.uint8]:
    """Return the lines' pixels, (lines, 48, 48); `DataError` names an invalid line."""
    images = _parse_regular([line.pixels for line in lines])
    if images is None:
        rows = [_parse_row(line, path) for line in lines]
        images = np.frombuffer(b"".join(rows), dtype=np.uint8)
    return images.reshape(-1, SIDE, SIDE)


def _parse_regular(rows: list[bytes]) -> NDArray[np.uint8] | None:
    """Parse rows of 2304 numbers of up to three digits separated by single spaces; None if any row differs."""
    text = np.frombuffer(b" ".join([*rows, b""]), dtype=np.uint8)
    ends = np.flatnonzero(text == SPACE).astype(np.int32)  # (numbers,) the position after each number
    row_ends = np.cumsum([len(row) + 1 for row in rows]) - 1
    if len(ends) != len(rows) * PIXELS or not np.array_equal(ends[PIXELS - 1 :: PIXELS], row_ends):
        return None
    lengths = np.diff(ends, prepend=np.int32(-1)) - 1
    digits = text - np.uint8(ZERO)  # wraps around, so everything but a digit is above 9
    all_digits = np.count_nonzero(digits <= 9) == len(text) - len(ends)
    if not all_digits or lengths.min() < 1 or lengths.max() > 3:
        return None
    values = digits[ends - 1].astype(np.uint16)
    values += digits[ends - 2] * np.where(lengths > 1, np.uint16(10), np.uint16(0))
    values += digits[ends - 3] * np.where(lengths > 2, np.uint16(100), np.uint16(0))
    return None if values.max() > 255 else values.astype(np.uint8)


def _parse_row(line: _Line, path: Path) -> bytes:
    """Parse one row number by number: slow, but accepts any white space and finds what is wrong."""
    numbers = line.pixels.split()
    if len(numbers) != PIXELS:
        _fail(path, line.number, f"has {len(numbers)} pixels; expected {PIXELS} ({SIDE} x {SIDE})")
    for text in numbers:
        if not (text.isdigit() and len(text) <= 9 and int(text) <= 255):
            _fail(path, line.number, f"has pixel {_shown(text)}; expected whole numbers from 0 to 255")
    return bytes(map(int, numbers))


def _shown(text: bytes) -> str:
    """Return at most 20 characters of a field in quotes, safe to print."""
    return ascii(text[:20].decode("utf-8", "replace"))


def _fail(path: Path, number: int, problem: str) -> NoReturn:
    raise DataError(f"{path}, line {number} {problem}.")
