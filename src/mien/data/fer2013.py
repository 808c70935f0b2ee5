"""FER2013 from the challenge's CSV file, with the FER+ votes if `fer2013new.csv` is next to it.

Goodfellow et al., "Challenges in representation learning", 2013: 48 x 48 grey faces from an image search,
seven labels. Training, PublicTest and PrivateTest become train, validation and test; a file may lack some of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.core.image import resize_face
from mien.data import votes
from mien.data.challenge_csv import PIXELS, SIDE, parse_challenge
from mien.data.dataset import SPLITS, FaceDataset
from mien.data.options import LoadOptions
from mien.data.pixel_cache import cached_bytes

FILE_NAMES = ("fer2013.csv", "icml_face_data.csv")
EXPECTS = "fer2013.csv or icml_face_data.csv with the columns emotion, pixels and Usage, or its folder"
NEEDS_PATH = True
# Pixels, class number and usage, one byte each.
BYTES_PER_ROW = PIXELS + 2


@dataclass(frozen=True)
class ChallengeRows:
    """The rows of a challenge file, in its order.

    Attributes:
        images: (n, 48, 48) uint8.
        emotions: (n,) uint8, 0 to 6, position in `FER2013_LABELS`.
        usages: (n,) uint8, position in `challenge_csv.USAGES`.
    """

    images: NDArray[np.uint8]
    emotions: NDArray[np.uint8]
    usages: NDArray[np.uint8]


def matches(path: Path) -> bool:
    """Return whether `path` is a CSV file, but not that of the votes, or a folder with one of `FILE_NAMES`."""
    if path.is_dir():
        return any((path / name).is_file() for name in FILE_NAMES)
    return path.suffix.lower() == ".csv" and path.name != votes.FILE_NAME


def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Load FER2013.

    `votes` (n, 7) and `is_face` are set if fer2013new.csv is next to the file. At 48 pixels and one channel the images
    are read-only and memory-mapped from the second load on.

    Raises:
        DataError: The file is missing, or a line is invalid; the message has its number.
    """
    source = locate(path)
    rows = read_rows(source)
    labels = rows.emotions.astype(np.int64)
    counts = read_counts(source, rows) if (source.parent / votes.FILE_NAME).is_file() else None
    return FaceDataset(
        name="fer2013",
        images=resize_all(rows.images, options),
        labels=labels,
        splits=np.array(SPLITS)[rows.usages],
        label_set=FER2013_LABELS,
        votes=None if counts is None else votes.fer2013_distribution(counts, labels),
        is_face=None if counts is None else votes.shows_face(counts),
    )


def locate(path: Path) -> Path:
    """Return the CSV file of a path: itself, or the one in the folder."""
    for file in (path, *(path / name for name in FILE_NAMES)):
        if file.is_file():
            return file
    raise DataError(f"No FER2013 at {path}: expected {EXPECTS}.")


def read_rows(source: Path) -> ChallengeRows:
    """Return the file's rows from its cache, or parse and cache them."""
    flat = cached_bytes(source, parse_challenge)
    n = len(flat) // BYTES_PER_ROW
    images = flat[: n * PIXELS].reshape(n, SIDE, SIDE)
    return ChallengeRows(images, flat[n * PIXELS : n * (PIXELS + 1)], flat[n * (PIXELS + 1) :])


def read_counts(source: Path, rows: ChallengeRows) -> NDArray[np.int64]:
    """Return the taggers' votes (n, 10) from the fer2013new.csv next to `source`; `DataError` if there is none."""
    file = source.parent / votes.FILE_NAME
    if not file.is_file():
        raise DataError(f"No {votes.FILE_NAME} next to {source}; it holds the votes of FER+.")
    return votes.read_votes(file, rows.usages, source.name)


def resize_all(images: NDArray[np.uint8], options: LoadOptions) -> NDArray[np.uint8]:
    """Return (n, 48, 48) images in the requested size and channels; the same array if nothing changes."""
    if options.channels == 1 and options.image_size == SIDE:
        return images
    return np.stack([resize_face(image, options.image_size, options.channels) for image in images])
