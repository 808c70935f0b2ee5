"""Charts of one run or of several, for the report and as PNG files: learning curves, confusion, reliability."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mien.core.dotted import finite
from mien.evaluation.metrics import ECE_BINS, confidence_gaps, confusion, predicted
from mien.evaluation.predictions import Predictions
from mien.evaluation.report.drawing import COLOURS, DASHES, INK, STYLE, set_percent

# From transparent to blue, so that text on it is readable in the page's light and dark themes.
SHADES = LinearSegmentedColormap.from_list("shades", [(0, 0.45, 0.7, 0), (0, 0.45, 0.7, 0.68)])
# Bins with fewer predictions get no dot: their mean is mostly noise.
MIN_IN_BIN = 10
DOTS_PER_INCH = 150

# Fonts with the letters of other scripts; those that the machine has are asked for letters that DejaVu Sans lacks.
FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Devanagari", "Noto Sans Thai", "WenQuanYi Micro Hei",
    "Droid Sans Fallback", "Arial Unicode MS", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic",
    "Microsoft YaHei", "Malgun Gothic", "Nirmala UI", "Leelawadee UI",
)  # fmt: skip

Point = Mapping[str, Any]


def points_of(curves: Sequence[Any], key: str, factor: float = 1.0) -> list[tuple[float, float]]:
    """Return (epoch, factor * value) of one quantity of a record's curves; epochs count from 1."""
    rows = (row for row in curves if isinstance(row, Mapping))
    pairs = ((finite(row.get("epoch")), finite(row.get(key))) for row in rows)
    return [(epoch + 1, factor * value) for epoch, value in pairs if epoch is not None and value is not None]


def draw_line(axes: Axes, points: Sequence[tuple[float, float]], label: str, number: int, colour: int) -> None:
    """Draw one curve over the epochs; `number` chooses its dashes, `colour` its colour. Nothing without points."""
    if points:
        marker, style = "o" * (len(points) == 1), DASHES[number % len(DASHES)]
        axes.plot(*zip(*points, strict=True), style, color=COLOURS[colour % len(COLOURS)], marker=marker, label=label)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_confusion(axes: Axes, counts: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Draw a confusion matrix, (k, k) with the truth in rows: each cell's share of its row, shaded, and its count."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.grid(visible=False)
    axes.pcolormesh(shares, cmap=SHADES, vmin=0, vmax=1)
    middles = np.arange(len(labels)) + 0.5
    axes.set_xticks(middles, labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(middles, labels)
    axes.set(xlabel="apparent expression", ylabel="annotation")
    axes.invert_yaxis()
    for (i, j), share in np.ndenumerate(shares):
        weight = "bold" if i == j else "normal"
        axes.text(j + 0.5, i + 0.47, f"{100 * share:.0f}", ha="center", weight=weight)
        axes.text(j + 0.5, i + 0.8, f"({counts[i, j]:,})", ha="center", size=7)


def draw_reliability(axes: Axes, predictions: Sequence[Predictions]) -> int:
    """Draw accuracy against confidence in bins, and the share of the predictions in each; return their number."""
    set_percent(axes.xaxis)
    set_percent(axes.yaxis)
    axes.set(xlabel="confidence", ylabel="accuracy")
    pairs = [confidence_gaps(each.probabilities, each.labels) for each in predictions]
    bins, gaps = map(np.concatenate, zip(*pairs, strict=True))
    confidence = np.concatenate([each.probabilities.max(axis=1) for each in predictions]).astype(np.float64)
    counts = np.bincount(bins, minlength=ECE_BINS)
    starts = np.arange(ECE_BINS) / ECE_BINS
    axes.bar(starts, counts / counts.sum(), 1 / ECE_BINS, align="edge", color=COLOURS[5], alpha=0.55)
    axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
    full = np.flatnonzero(counts >= MIN_IN_BIN)
    means = [(confidence[bins == b].mean(), (gaps + confidence)[bins == b].mean()) for b in full]
    if means:  # an unclipped line without points would take all of the layout
        axes.plot(*np.transpose(means), "o-", color=COLOURS[0], clip_on=False, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return int(counts.sum())


def save_curves(curves: Sequence[Point], path: Path, title: str = "", *, before: float | None = None) -> None:
    """Write the losses and the validation accuracy of a run over its epochs as a PNG file.

    Args:
        curves: Of the run record.
        path: The file.
        title: Above the charts.
        before: Of a run whose start was kept: its validation accuracy, 0 to 1.
    """
    with mpl.rc_context(_style()):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        losses, accuracy = figure.subplots(1, 2)
        draw_line(losses, points_of(curves, "train_loss"), "training", 0, 0)
        draw_line(losses, points_of(curves, "validation_loss"), "validation", 1, 1)
        losses.set_ylabel("loss")
        losses.legend()
        draw_line(accuracy, points_of(curves, "validation_accuracy", 100), "validation", 0, 2)
        accuracy.set_ylabel("validation accuracy, %")
        if before is not None:
            accuracy.axhline(100 * before, color=INK, linestyle=":", label="fitted classifier, which was kept")
            accuracy.legend()
        _save(figure, path, title)


def save_scores(predictions: Predictions, path: Path) -> None:
    """Write the confusion matrix and the reliability of predictions as a PNG file."""
    names = predictions.label_set.names
    counts = confusion(predictions.labels, predicted(predictions.probabilities), len(names))
    side = min(max(3.4, 1.6 + 0.45 * len(names)), 12)
    with mpl.rc_context(_style()):
        figure = Figure(figsize=(side + 4, side), layout="constrained")
        matrix, reliability = figure.subplots(1, 2, width_ratios=(side, 3.4))
        draw_confusion(matrix, counts, names)
        draw_reliability(reliability, [predictions])
        reliability.set_title("reliability (bars: share of faces)", size="medium")
        accuracy = 100 * counts.trace() / counts.sum()
        where = f"{predictions.data_title}, {predictions.split}"
        _save(figure, path, f"{predictions.model} on {where}: {accuracy:.2f} % of {len(predictions):,}")


@cache
def _style() -> dict[Any, Any]:
    """Return the style of the PNG files, in which no browser replaces letters that a font lacks."""
    here = set(get_font_names())
    return STYLE | {"font.family": ["DejaVu Sans", *(name for name in FONTS if name in here)]}


def _save(figure: Figure, path: Path, title: str) -> None:
    if title:
        figure.suptitle(title, size="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # no font of this machine has it
        figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
