"""Parses the ICML 2013 challenge's text file: `fer2013.csv`, or `icml_face_data.csv` of the same content.

Each row is a face: a class number, 48 * 48 grey values as decimal text, and the part of the challenge it belongs to.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.data.label_files import read_table

SIDE = 48
PIXELS = SIDE * SIDE
COLUMNS = ("emotion", "pixels", "Usage")
# Position i is usage code i.
USAGES = ("Training", "PublicTest", "PrivateTest")
EMOTIONS = tuple(map(str, range(len(FER2013_LABELS))))
GREYS = {str(grey): grey for grey in range(256)}


def parse_challenge(path: Path) -> NDArray[np.uint8]:
    """Parse the whole file; return all its pixels, then its class numbers, then its usages, (n * 2306,) uint8.

    Raises:
        DataError: A column is missing, a class number is outside 0 to 6, a usage is unknown, or a row does not have
            2304 pixels of 0 to 255; the message has the line number.
    """
    pixels, emotions, usages = bytearray(), bytearray(), bytearray()
    for where, row in read_table(path, COLUMNS):
        emotion, usage = row["emotion"], row["Usage"]
        if emotion not in EMOTIONS:
            raise DataError(f"{where} has emotion {emotion[:20]!a}; expected a number from 0 to 6.")
        if usage not in USAGES:
            raise DataError(f"{where} has Usage {usage[:20]!a}; expected {', '.join(USAGES)}.")
        pixels += _parse_pixels(row["pixels"], where)
        emotions.append(EMOTIONS.index(emotion))
        usages.append(USAGES.index(usage))
    if not emotions:
        raise DataError(f"{path} has a header but no rows.")
    return np.frombuffer(pixels + emotions + usages, dtype=np.uint8)


def _parse_pixels(text: str, where: str) -> bytes:
    words = text.split()
    if len(words) != PIXELS:
        raise DataError(f"{where} has {len(words)} pixels; expected {PIXELS} ({SIDE} x {SIDE}).")
    try:
        return bytes(map(GREYS.__getitem__, words))
    except KeyError as error:
        wrong = ascii(error.args[0][:20])
        raise DataError(f"{where} has pixel {wrong}; expected whole numbers from 0 to 255.") from None
