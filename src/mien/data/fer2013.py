"""FER2013 from the challenge's CSV file, with the FER+ votes if `fer2013new.csv` is next to it.

Goodfellow et al., "Challenges in representation learning", 2013: 48 x 48 grey faces from an image search,
seven labels. Training, PublicTest and PrivateTest become train, validation and test; a file need not have all of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.core.image import resize_face
from mien.data import votes
from mien.data.challenge_csv import PIXELS, SIDE, USAGES, ChallengeRows, parse_challenge
from mien.data.dataset import SPLITS, FaceDataset
from mien.data.options import LoadOptions
from mien.data.pixel_cache import cache_path, read_cache, write_cache

FILE_NAMES = ("fer2013.csv", "icml_face_data.csv")
EXPECTS = "fer2013.csv or icml_face_data.csv with the columns emotion, pixels and Usage, or its folder"
NEEDS_PATH = True
# The pixels of a row, its class number and its usage.
BYTES_PER_ROW = PIXELS + 2


def matches(path: Path) -> bool:
    """Return whether `path` is a CSV file other than the votes, or a folder with a file of one of the known names."""
    if path.is_dir():
        return any((path / name).is_file() for name in FILE_NAMES)
    return path.suffix.lower() == ".csv" and path.name != votes.FILE_NAME


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load FER2013.

    `votes` (n, 7) and `is_face` are set if fer2013new.csv is next to the file. At 48 pixels and one channel the images
    are read-only and memory-mapped from the second load on.

    Raises:
        DataError: The file is missing, or a line is invalid (the message has its number).
    """
    source = locate(path)
    rows = read_rows(source)
    labels = rows.emotions.astype(np.int64)
    counts = read_counts(source, rows)
    return FaceDataset(
        name="fer2013",
        images=resize_all(rows.images, options),
        labels=labels,
        splits=np.array(SPLITS)[rows.usages],
        label_set=FER2013_LABELS,
        votes=None if counts is None else votes.fer2013_distribution(counts, labels),
        is_face=None if counts is None else votes.shows_face(counts),
    )


def locate(path: Path | None) -> Path:
    """Return the CSV file of a path: itself, or the one in the folder."""
    if path is not None and path.is_file():
        return path
    for name in FILE_NAMES:
        if path is not None and (path / name).is_file():
            return path / name
    raise DataError(f"No FER2013 at {path}: expected {EXPECTS}.")


def read_rows(source: Path) -> ChallengeRows:
    """Return the file's rows from its cache, or parse and cache them."""
    cached_at = cache_path(source)
    flat = read_cache(cached_at)
    if flat is not None and len(flat) and len(flat) % BYTES_PER_ROW == 0:
        rows = _unpack(flat)
        if rows.emotions.max() < len(FER2013_LABELS) and rows.usages.max() < len(USAGES):
            return rows
    rows = parse_challenge(source)
    write_cache(cached_at, np.concatenate([rows.images.ravel(), rows.emotions, rows.usages]), source.name)
    rows.images.setflags(write=False)  # as when they come from the cache
    return rows


def _unpack(flat: NDArray[np.uint8]) -> ChallengeRows:
    n = len(flat) // BYTES_PER_ROW
    images = flat[: n * PIXELS].reshape(n, SIDE, SIDE)
    return ChallengeRows(images, flat[n * PIXELS : n * (PIXELS + 1)], flat[n * (PIXELS + 1) :])


def read_counts(source: Path, rows: ChallengeRows) -> NDArray[np.int64] | None:
    """Return the taggers' votes (n, 10) from the fer2013new.csv next to `source`; None if there is none."""
    file = source.parent / votes.FILE_NAME
    return votes.read_votes(file, rows.usages, source.name) if file.exists() else None


def resize_all(images: NDArray[np.uint8], options: LoadOptions) -> NDArray[np.uint8]:
    """Return (n, 48, 48) images in the requested size and channels; the same array if nothing changes."""
    if options.channels == 1 and options.image_size == SIDE:
        return images
    return np.stack([resize_face(image, options.image_size, options.channels) for image in images])
