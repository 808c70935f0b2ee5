"""Reads the FER+ votes, ten taggers' choices for each FER2013 image, and applies its authors' filters.

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
from mien.data.image_files import read_csv

FILE_NAME = "fer2013new.csv"
COLUMNS = (
    *("Usage", "Image name", "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)
CHOICES = len(COLUMNS) - 2
EXPRESSIONS = len(FERPLUS_LABELS)
NOT_A_FACE = CHOICES - 1
# The original has 1.6 MB.
LARGEST_FILE = 64 * 2**20


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
    lines = read_csv(path, LARGEST_FILE)
    if not lines or [name.strip().lower() for name in lines[0]] != [name.lower() for name in COLUMNS]:
        found = ", ".join(lines[0])[:200] if lines else "nothing"
        raise DataError(f"{path}, line 1: expected the columns {', '.join(COLUMNS)}; found {found}.")
    by_usage: list[list[list[int]]] = [[] for _ in USAGES]
    for number, fields in enumerate(lines[1:], start=2):
        if fields:
            usage, row = _parse_row(fields, f"{path}, line {number}")
            by_usage[usage].append(row)
    if not any(by_usage):
        raise DataError(f"{path} has a header but no rows.")
    counts = np.empty((len(usages), CHOICES), dtype=np.int64)
    for code in np.unique(usages).tolist():
        rows, votes = np.flatnonzero(usages == code), by_usage[code]
        if len(rows) != len(votes):
            raise DataError(
                f"{FILE_NAME} has {len(votes)} {USAGES[code]} rows but {source} has {len(rows)}; expected the"
                f" same rows in the same order. Move {FILE_NAME} away to work without votes."
            )
        counts[rows] = votes
    return counts


def _parse_row(fields: list[str], where: str) -> tuple[int, list[int]]:
    if len(fields) != len(COLUMNS):
        raise DataError(f"{where} has {len(fields)} columns; the header has {len(COLUMNS)}.")
    if fields[0] not in USAGES:
        raise DataError(f"{where} has Usage '{fields[0][:20]}'; expected {', '.join(USAGES)}.")
    for name, field in zip(COLUMNS[2:], fields[2:], strict=True):
        if not (field.isascii() and field.isdigit() and len(field) <= 4):
            raise DataError(f"{where} has '{field[:20]}' votes for {name}; expected a number from 0 to 9999.")
    return USAGES.index(fields[0]), [int(field) for field in fields[2:]]


def shows_face(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (n,) False where NF (not a face) has more votes than any other choice of `counts` (n, 10)."""
    return np.asarray(counts[:, NOT_A_FACE] <= counts[:, :NOT_A_FACE].max(axis=1), dtype=np.bool_)


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
    """Apply the majority rule of FER+'s authors to votes (n, 10).

    Single votes are removed as outliers. An image is kept if one *expression* has more than half of the remaining
    votes, including those for unknown and NF.

    Returns:
        (n, 8) the remaining votes for expressions, rescaled to sum to 1; all 0 if the image is dropped.
    """
    remaining = np.where(counts > 1, counts, 0)
    best = remaining[:, :EXPRESSIONS].max(axis=1)
    keep = 2 * best > remaining.sum(axis=1)
    return _rescaled(remaining[:, :EXPRESSIONS] * keep[:, None])


def probability_distribution(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Apply the probability rule of FER+'s authors to votes (n, 10).

    Single votes are removed as outliers. Then choices are taken in descending order of votes, ties together, until
    three quarters of the votes or three choices are taken, or unknown or NF is reached. The image is dropped if more
    than three expressions are taken or they have at most half of the votes.

    Returns:
        (n, 8) the votes of the expressions taken, rescaled to sum to 1; all 0 if the image is dropped.
    """
    remaining = np.where(counts > 1, counts, 0)
    taken = np.zeros((len(counts), EXPRESSIONS), dtype=np.int64)
    for row, chosen in zip(remaining, taken, strict=True):
        total = int(row.sum())
        for value in sorted(set(row.tolist()) - {0}, reverse=True):
            if 4 * chosen.sum() >= 3 * total or np.count_nonzero(chosen) >= 3:
                break
            chosen[row[:EXPRESSIONS] == value] = value
            if (row[EXPRESSIONS:] == value).any():
                break
        if 2 * chosen.sum() <= total or np.count_nonzero(chosen) > 3:
            chosen[:] = 0
    return _rescaled(taken)


def _rescaled(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), dtype=np.float32)
