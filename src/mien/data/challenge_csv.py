"""Parses the ICML 2013 challenge's text file: `fer2013.csv`, or `icml_face_data.csv` of the same content.

Each row is a face: a class number, 48 * 48 grey values as decimal text, and the part of the challenge it belongs to.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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


def parse_challenge(path: Path) -> ChallengeRows:
    """Parse the whole file.

    Raises:
        DataError: A column is missing, a class number is outside 0 to 6, a usage is unknown, or a row does not have
            2304 pixels of 0 to 255; the message has the line number.
    """
    pixels, emotions, usages = bytearray(), bytearray(), bytearray()
    try:
        with path.open("rb") as file:
            header = _parse_header(file.readline(LINE_LIMIT), path)
            for number, line in enumerate(iter(partial(file.readline, LINE_LIMIT), b""), start=2):
                if line.isspace():
                    continue
                where = f"{path}, line {number}"
                if len(line) == LINE_LIMIT:
                    raise DataError(f"{where} is longer than {LINE_LIMIT} bytes; expected {PIXELS} pixels per line.")
                fields = _split(line)
                if len(fields) != len(header):
                    raise DataError(f"{where} has {len(fields)} columns; the header has {len(header)}.")
                row = dict(zip(header, fields, strict=True))
                if (emotion := EMOTION_CODES.get(row[b"emotion"])) is None:
                    raise DataError(f"{where} has emotion {_quote(row[b'emotion'])}; expected a number from 0 to 6.")
                if (usage := USAGE_CODES.get(row[b"usage"])) is None:
                    raise DataError(f"{where} has Usage {_quote(row[b'usage'])}; expected {', '.join(USAGES)}.")
                pixels += _parse_pixels(row[b"pixels"], where)
                emotions.append(emotion)
                usages.append(usage)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if not emotions:
        raise DataError(f"{path} has a header but no rows.")
    images, labels, splits = (np.frombuffer(part, dtype=np.uint8) for part in (pixels, emotions, usages))
    return ChallengeRows(images.reshape(-1, SIDE, SIDE), labels, splits)


def _parse_header(line: bytes, path: Path) -> list[bytes]:
    header = _split(line.removeprefix(codecs.BOM_UTF8))
    if header == [b""]:
        raise DataError(f"{path} is empty or starts with an empty line; expected a header {','.join(COLUMNS)}.")
    names = [name.lower() for name in header]
    for column in COLUMNS:
        if column.lower().encode() not in names:
            found = ", ".join(map(_quote, header[:10]))
            raise DataError(f"{path}, line 1 has no column '{column}'; found {found}; expected {', '.join(COLUMNS)}.")
    return names


def _parse_pixels(text: bytes, where: str) -> bytes:
    """Return a row's 2304 grey values; `DataError` starts with `where`."""
    words = text.split()
    if len(words) != PIXELS:
        raise DataError(f"{where} has {len(words)} pixels; expected {PIXELS} ({SIDE} x {SIDE}).")
    if not text.translate(None, b"0123456789 \t"):
        values = np.fromstring(text, dtype=np.int64, sep=" ")
        if values.max() <= 255:
            return values.astype(np.uint8).tobytes()
    wrong = next(word for word in words if not (word.isdigit() and len(word) <= 9 and int(word) <= 255))
    raise DataError(f"{where} has pixel {_quote(wrong)}; expected whole numbers from 0 to 255.")


def _split(line: bytes) -> list[bytes]:
    return [field.strip(b' "\r\n') for field in line.split(b",")]


def _quote(text: bytes) -> str:
    """Return at most 20 characters of a field in quotes, safe to print."""
    return ascii(text[:20].decode("utf-8", "replace"))
