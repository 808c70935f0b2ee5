"""Reads the FER+ votes, ten taggers' choices for each FER2013 image, and applies its authors' filter.

Barsoum et al., ICMI 2016, arXiv:1608.01041.

`fer2013new.csv` has one row per row of `fer2013.csv`, in the same order within each usage: the numbers of taggers who
chose each of eight expressions, "unknown" or "NF" (not a face).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS, FERPLUS_LABELS
from mien.data.challenge_csv import USAGES
from mien.data.label_files import read_table

FILE_NAME = "fer2013new.csv"
CHOICES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
COLUMNS = ("Usage", "Image name", *CHOICES)
EXPRESSIONS = len(FERPLUS_LABELS)


def read_votes(path: Path, usages: NDArray[np.uint8], source: str) -> NDArray[np.int64]:
    """Read fer2013new.csv: within a usage, its row i belongs to row i of the pixel file.

    Votes of usages that the pixel file lacks are ignored.

    Args:
        path: The file.
        usages: (n,) position in `USAGES`, in the pixel file's order.
        source: The pixel file's name, for errors.

    Returns:
        (n, 10) taggers per choice, in the pixel file's order.

    Raises:
        DataError: A column, a usage or a number of votes is invalid (the message has the line number), or the files
            differ in the number of rows of a usage.
    """
    by_usage: dict[str, list[list[int]]] = {usage: [] for usage in USAGES}
    for where, row in read_table(path, COLUMNS):
        if row["Usage"] not in by_usage:
            raise DataError(f"{where} has Usage '{row['Usage'][:20]}'; expected {', '.join(USAGES)}.")
        for name in CHOICES:
            if not (row[name].isascii() and row[name].isdigit() and len(row[name]) <= 4):
                raise DataError(f"{where} has '{row[name][:20]}' votes for {name}; expected a number from 0 to 9999.")
        by_usage[row["Usage"]].append([int(row[name]) for name in CHOICES])
    counts = np.empty((len(usages), len(CHOICES)), dtype=np.int64)
    for code in np.unique(usages).tolist():
        rows, votes = np.flatnonzero(usages == code), by_usage[USAGES[code]]
        if len(rows) != len(votes):
            raise DataError(
                f"{FILE_NAME} has {len(votes)} {USAGES[code]} rows but {source} has {len(rows)}; expected the"
                f" same rows in the same order. Move {FILE_NAME} away to work without votes."
            )
        counts[rows] = votes
    return counts


def shows_face(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (n,) False where NF (not a face) has more votes than any other choice of `counts` (n, 10)."""
    return np.asarray(counts[:, -1] <= counts[:, :-1].max(axis=1), dtype=np.bool_)


def fer2013_distribution(counts: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the votes (n, 10) as a distribution over FER2013's seven labels, (n, 7) float32.

    Contempt, unknown and NF are left out and the rest is rescaled to sum to 1. An image without votes for any of the
    seven gets its FER2013 label, of `labels` (n,), with probability 1.
    """
    seven = counts[:, FER2013_LABELS.columns_from(FERPLUS_LABELS)]
    none = seven.sum(axis=1) == 0
    seven[none, labels[none]] = 1
    return np.asarray(seven / seven.sum(axis=1, keepdims=True), dtype=np.float32)


def majority_distribution(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Apply the official rule of FER+, its authors' "majority" mode, to votes (n, 10).

    Single votes are removed as outliers. An image is kept if one *expression* has more than half of the remaining
    votes, including those for unknown and NF; without such a majority, or with one for unknown or NF, it is dropped.
    The authors validate and test by this rule, whatever they train on.

    Returns:
        (n, 8) the remaining votes for expressions, rescaled to sum to 1; all 0 if the image is dropped.
    """
    remaining = np.where(counts > 1, counts, 0)
    best = remaining[:, :EXPRESSIONS].max(axis=1)
    keep = 2 * best > remaining.sum(axis=1)
    kept = remaining[:, :EXPRESSIONS] * keep[:, None]
    return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def plain_distribution(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return votes (n, 10) for expressions, rescaled to sum to 1: (n, 8); all 0 without a vote for any."""
    votes = counts[:, :EXPRESSIONS]
    return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1), dtype=np.float32)
