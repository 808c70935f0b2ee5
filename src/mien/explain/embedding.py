"""Draw features in the plane: coloured by annotation, confident mistakes ringed, given faces as stars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.core.expressions import COLOURS, LabelSet
from mien.core.text import percent
from mien.evaluation.report.figures import CONFIDENT
from mien.explain.figures import INK, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^vP*X"


def confident_mistakes(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (n,) where the largest of probabilities (n, k) is at least 80 % and at another label than annotated."""
    wrong = probabilities.argmax(axis=1) != labels
    return np.asarray(wrong & (probabilities.max(axis=1) >= CONFIDENT) & (labels >= 0))


def draw_plane(  # noqa: PLR0913 - the points and the words
    positions: NDArray[np.floating],
    labels: NDArray[np.int64],
    is_mistake: NDArray[np.bool_],
    label_set: LabelSet,
    *,
    title: str,
    notes: str,
) -> Figure:
    """Return the figure; each label has a colour and a marker.

    Args:
        positions: (n, 2), in any unit.
        labels: (n,) the annotations, positions in `label_set`; -1 for given faces.
        is_mistake: (n,) whether the network is confident of another label than the annotated one.
        label_set: The labels.
        title: The title.
        notes: A line below the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.6))
    axis = figure.add_axes((0.03, 0.09, 0.94, 0.84))
    for number, name in enumerate(label_set.names):
        x, y = positions[labels == number].T
        colour, marker = np.array(COLOURS[name]) / 255, MARKERS[number % len(MARKERS)]
        axis.scatter(x, y, s=14, color=colour, marker=marker, edgecolors="white", linewidths=0.3, label=name)
    x, y = positions[is_mistake].T
    name = f"mistake with {percent(CONFIDENT)} or more ({len(x)})"
    axis.scatter(x, y, s=42, facecolors="none", edgecolors=INK, linewidths=0.8, label=name)
    x, y = positions[labels < 0].T
    if len(x):
        axis.scatter(x, y, s=190, color="white", marker="*", edgecolors=INK, linewidths=1.4, label="given face")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.legend(fontsize=7, loc="best", framealpha=0.85)
    axis.set_title(title, fontsize=9, color=INK)
    figure.text(0.03, 0.015, notes, fontsize=6.5, color=SOFT, wrap=True)
    return figure
