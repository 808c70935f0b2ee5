"""The faces of a data set most similar to given faces for a network: nearest by the angle of their features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.text import percent
from mien.data.dataset import FaceDataset
from mien.explain.figures import INK, SOFT, show_face
from mien.inference.recognizer import Recognizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Features = NDArray[np.floating]
CELL = 1.15  # inches


@dataclass(frozen=True)
class GivenFaces:
    """The faces whose neighbours are wanted, m of them.

    Attributes:
        crops: (m, size, size[, 3]).
        names: m names: the image's, with a number if it shows several faces.
        labels: The predicted labels.
        probabilities: (m,) their probabilities.
    """

    crops: NDArray[np.uint8]
    names: list[str]
    labels: list[str]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """The k faces nearest to one face, the nearest first.

    Attributes:
        rows: (k,) positions in the searched features.
        distances: (k,) 1 - cosine of the features, in [0, 2].
    """

    rows: NDArray[np.intp]
    distances: NDArray[np.float64]


def find_faces(recognizer: Recognizer, paths: Iterable[Path]) -> GivenFaces | None:
    """Find all faces in images, also those that would be rejected; None if there are none.

    Raises:
        ImageError: An image cannot be read.
    """
    crops, names = [], []
    for path in paths:
        found = recognizer.find(path).crops
        crops += found
        names += [path.name if len(found) == 1 else f"{path.name} ({i})" for i in range(1, len(found) + 1)]
    if not crops:
        return None
    probabilities = recognizer.score(crops).probabilities
    labels = [recognizer.card.labels.names[best] for best in probabilities.argmax(axis=1)]
    return GivenFaces(np.stack(crops), names, labels, probabilities.max(axis=1))


def find_neighbours(queries: Features, features: Features, k: int) -> tuple[Neighbours, ...]:
    """Return the k nearest of features (n, d) for each of queries (m, d), by cosine distance; ties by position.

    Raises:
        DataError: Sizes differ, values are not finite, k is below 1, or there are fewer than k features.
    """
    if queries.ndim != 2 or features.ndim != 2 or queries.shape[1] != features.shape[1]:
        raise DataError(f"Got features {queries.shape} and {features.shape}; expected (m, d) and (n, d).")
    if not 1 <= k <= len(features):
        raise DataError(f"{k} neighbours are requested; expected 1 to {len(features)}, the number of searched faces.")
    if not (np.isfinite(queries).all() and np.isfinite(features).all()):
        raise DataError("Features hold NaN or infinity; the network may have diverged.")
    distances = 1 - np.clip(_unit(queries) @ _unit(features).T, -1, 1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return tuple(Neighbours(rows, row[rows]) for rows, row in zip(nearest, distances, strict=True))


def describe_neighbours(
    given: GivenFaces, neighbours: Sequence[Neighbours], labels: NDArray[np.int64], label_set: LabelSet
) -> list[dict[str, Any]]:
    """Return each given face with its neighbours, as JSON values.

    Args:
        given: The given faces.
        neighbours: The neighbours of each.
        labels: (n,) the annotations of the searched faces.
        label_set: The names of these labels.
    """
    return [
        {
            "face": given.names[i],
            "label": given.labels[i],
            "probability": round(float(given.probabilities[i]), 6),
            "neighbours": [
                {"row": int(row), "label": label_set.names[labels[row]], "distance": round(float(distance), 6)}
                for row, distance in zip(found.rows, found.distances, strict=True)
            ],
        }
        for i, found in enumerate(neighbours)
    ]


def draw_neighbours(given: GivenFaces, rows: Sequence[dict[str, Any]], searched: FaceDataset, notes: str) -> Figure:
    """Return a figure with one strip per given face: the face, then its neighbours.

    Args:
        given: The given faces.
        rows: From `describe_neighbours`.
        searched: The searched faces.
        notes: A line below the strips.
    """
    from matplotlib.figure import Figure

    columns = 1 + len(rows[0]["neighbours"])
    width, height = CELL * columns + 0.4, (CELL + 0.35) * len(rows) + 0.45
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(rows), columns, left=0.1 / width, right=1 - 0.1 / width, top=1 - 0.25 / height, bottom=0.5 / height,
        wspace=0.08, hspace=0.35, width_ratios=[1.25] + [1] * (columns - 1),
    )  # fmt: skip
    for i, (crop, row) in enumerate(zip(given.crops, rows, strict=True)):
        near = row["neighbours"]
        faces = [crop, *(np.asarray(searched.images[one["row"]]) for one in near)]
        captions = [f"{row['face'][:24]}\n{row['label']} {percent(row['probability'])}"]
        captions += [f"{one['label']}\n{one['distance']:.3f}" for one in near]
        for j, (face, caption) in enumerate(zip(faces, captions, strict=True)):
            axis = figure.add_subplot(grid[i, j])
            show_face(axis, face)
            axis.set_xlabel(caption, fontsize=7, labelpad=2, color=SOFT if j else INK)
            for spine in axis.spines.values():
                spine.set_linewidth(0.5 if j else 1.8)
    figure.text(0.1 / width, 0.06 / height, notes, fontsize=6.5, va="bottom", color=SOFT, wrap=True)
    return figure


def _unit(features: Features) -> NDArray[np.float64]:
    exact = features.astype(np.float64)
    return np.asarray(exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12))
