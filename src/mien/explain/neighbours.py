"""The faces of a data set most similar to given faces for a network: nearest by the angle of their features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.text import percent
from mien.explain.figures import INK, SOFT, show_face

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Features = NDArray[np.floating]
Images = NDArray[np.uint8]
CELL = 1.15  # inches


def find_neighbours(queries: Features, features: Features, k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find the k nearest of features (n, d) for each of queries (m, d), by cosine distance; ties by position.

    Returns:
        Positions in the features and distances, 1 - cosine in [0, 2], both (m, k), the nearest first.

    Raises:
        DataError: There are fewer than k features, or some are not finite.
    """
    if k > len(features):
        raise DataError(f"{k} neighbours are requested; expected 1 to {len(features)}, the number of searched faces.")
    if not (np.isfinite(queries).all() and np.isfinite(features).all()):
        raise DataError("Features hold NaN or infinity; the network may have diverged.")
    distances = 1 - np.clip(_unit(queries) @ _unit(features).T, -1, 1)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(distances, rows, axis=1)


def draw_neighbours(crops: Sequence[Images], found: Sequence[dict[str, Any]], images: Images, notes: str) -> Figure:
    """Return a figure with one strip per given face: the face, then its neighbours.

    Args:
        crops: m given faces.
        found: For each of them its name `face`, `label` and `probability`, and the `row`, `label` and `distance` of
            its `neighbours`.
        images: The searched faces (n, h, w[, 3]).
        notes: A line below the strips.
    """
    from matplotlib.figure import Figure

    columns = 1 + len(found[0]["neighbours"])
    width, height = CELL * columns + 0.4, (CELL + 0.35) * len(found) + 0.45
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(found), columns, left=0.1 / width, right=1 - 0.1 / width, top=1 - 0.25 / height, bottom=0.5 / height,
        wspace=0.08, hspace=0.35, width_ratios=[1.25] + [1] * (columns - 1),
    )  # fmt: skip
    for i, (crop, one) in enumerate(zip(crops, found, strict=True)):
        cells = [(crop, f"{one['face'][:24]}\n{one['label']} {percent(one['probability'])}")]
        cells += [(images[near["row"]], f"{near['label']}\n{near['distance']:.3f}") for near in one["neighbours"]]
        for j, (face, caption) in enumerate(cells):
            axis = figure.add_subplot(grid[i, j])
            show_face(axis, np.asarray(face))
            axis.set_xlabel(caption, fontsize=7, labelpad=2, color=SOFT if j else INK)
            for spine in axis.spines.values():
                spine.set_linewidth(0.5 if j else 1.8)
    figure.text(0.1 / width, 0.06 / height, notes, fontsize=6.5, va="bottom", color=SOFT, wrap=True)
    return figure


def _unit(features: Features) -> NDArray[np.float64]:
    exact = features.astype(np.float64)
    return np.asarray(exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12))
