"""The faces of a data set that a network takes to be most like a given one: nearest by the angle of their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.explain.figures import INK, SOFT, show_face

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Features = NDArray[np.floating]
CELL = 1.15  # inches


@dataclass(frozen=True)
class Neighbours:
    """The k faces nearest to one face, the nearest first.

    Attributes:
        rows: (k,) positions in the features that were searched.
        distances: (k,) 1 - cosine of the features, in [0, 2].
    """

    rows: NDArray[np.intp]
    distances: NDArray[np.float64]


def find_neighbours(queries: Features, features: Features, k: int) -> tuple[Neighbours, ...]:
    """Return the k nearest of features (n, d) for each of queries (m, d), by cosine distance; ties by position.

    Raises:
        DataError: Sizes differ, values are not finite, k is below 1, or there are fewer than k features.
    """
    if queries.ndim != 2 or features.ndim != 2 or queries.shape[1] != features.shape[1]:
        raise DataError(
            f"Features {queries.shape} and {features.shape} cannot be compared; expected (m, d) and (n, d)."
        )
    if not 1 <= k <= len(features):
        raise DataError(f"{k} neighbours were asked for; expected 1 to {len(features)}, the faces that are searched.")
    if not (np.isfinite(queries).all() and np.isfinite(features).all()):
        raise DataError("Features hold NaN or infinity; the network may have diverged.")
    distances = 1 - np.clip(_unit(queries) @ _unit(features).T, -1, 1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return tuple(Neighbours(rows, row[rows]) for rows, row in zip(nearest, distances, strict=True))


def agreement(neighbours: Neighbours, labels: NDArray[np.int64], label: int) -> float:
    """Return the share of the neighbours that are annotated with a label."""
    return float((labels[neighbours.rows] == label).mean())


def draw_neighbours(
    faces: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    neighbours: Sequence[tuple[NDArray[np.uint8], Sequence[str]]],
    notes: str,
) -> Figure:
    """Return a figure with one strip a face: the face, a line, its neighbours.

    Args:
        faces: The given faces, m of them.
        captions: Under each.
        neighbours: For each its neighbours' pictures (k, h, w[, 3]) and their k captions.
        notes: What was measured, below all.
    """
    from matplotlib.figure import Figure

    rows, columns = len(faces), 1 + len(neighbours[0][0])
    width, height = CELL * columns + 0.4, (CELL + 0.35) * rows + 0.45
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        rows, columns, left=0.1 / width, right=1 - 0.1 / width, top=1 - 0.25 / height, bottom=0.5 / height,
        wspace=0.08, hspace=0.35, width_ratios=[1.25] + [1] * (columns - 1),
    )  # fmt: skip
    for i, (face, caption, (pictures, words)) in enumerate(zip(faces, captions, neighbours, strict=True)):
        for j, (picture, text) in enumerate(zip([face, *pictures], [caption, *words], strict=True)):
            axis = figure.add_subplot(grid[i, j])
            show_face(axis, picture)
            axis.set_xlabel(text, fontsize=7, labelpad=2, color=INK if j == 0 else SOFT)
            for spine in axis.spines.values():
                spine.set_linewidth(1.8 if j == 0 else 0.5)
    figure.text(0.1 / width, 0.06 / height, notes, fontsize=6.5, va="bottom", color=SOFT, wrap=True)
    return figure


def _unit(features: Features) -> NDArray[np.float64]:
    exact = features.astype(np.float64)
    return np.asarray(exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12))
