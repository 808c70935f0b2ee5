"""The figures of one group of runs: learning curves, recall, confusion, reliability, features."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mien.core.dotted import finite
from mien.evaluation.metrics import ECE_BINS, confidence_gaps, ece
from mien.evaluation.report.drawing import COLOURS, DASHES, INK, MARKERS, new_figure, set_percent, to_markup
from mien.evaluation.report.groups import NONE, Group, percent
from mien.evaluation.report.markup import NOTHING, Markup, join, table
from mien.evaluation.report.mistakes import confident_mistakes
from mien.evaluation.report.runs import Run, look_up

# A mistake with at least this probability counts as confident.
CONFIDENT = 0.8
# Bins with fewer predictions get no dot: their mean is mostly noise.
MIN_IN_BIN = 10
# From transparent to blue, so that text on it is readable in the page's light and dark themes.
SHADES = LinearSegmentedColormap.from_list("shades", [(0, 0.45, 0.7, 0), (0, 0.45, 0.7, 0.68)])
# Numbers in `COLOURS`; other labels get the colour of their position.
LABEL_COLOURS = {
    "angry": 1,
    "disgust": 2,
    "fear": 4,
    "happy": 3,
    "sad": 0,
    "surprise": 5,
    "neutral": 7,
    "contempt": 6,
}
CURVES = (
    ("validation_accuracy", "Validation accuracy", "validation accuracy, %", 100.0),
    ("train_loss", "Training loss", "loss", 1.0),
)


def learning_curves(group: Group) -> Markup:
    """Draw validation accuracy and training loss over the epochs, one line per run."""
    charts = []
    for key, title, label, factor in CURVES:
        figure, axes = new_figure()
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        for i, run in enumerate(group.runs):
            pairs = ((finite(look_up(row, "epoch")), finite(look_up(row, key))) for row in run.record["curves"])
            points = [(epoch + 1, factor * value) for epoch, value in pairs if epoch is not None and value is not None]
            if points:
                name = f"seed {run.text('recipe.training.seed', '?')}"
                axes.plot(*zip(*points, strict=True), DASHES[i % 4], marker="o" * (len(points) == 1), label=name)
        if len(axes.lines) > 1:
            axes.legend()
        if axes.lines:
            charts.append(to_markup(figure, f"{title} of {group.title} over the epochs", f"{title} after each epoch."))
    return join(charts)


def confusion_matrix(group: Group) -> Markup:
    """Draw the confusion matrix of all runs together: each cell's share of its row, shaded, and its count."""
    counts, labels = group.confusion(), group.labels()
    if counts is None:
        return NOTHING
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = new_figure(height=4.2)
    axes.grid(visible=False)
    axes.pcolormesh(shares, cmap=SHADES, vmin=0, vmax=1)
    middles = np.arange(len(labels)) + 0.5
    axes.set_xticks(middles, labels, rotation=30)
    axes.set_yticks(middles, labels)
    axes.set(xlabel="apparent expression", ylabel="annotation")
    axes.invert_yaxis()
    for (i, j), share in np.ndenumerate(shares):
        weight = "bold" if i == j else "normal"
        axes.text(j + 0.5, i + 0.47, f"{100 * share:.0f}", ha="center", weight=weight)
        axes.text(j + 0.5, i + 0.8, f"({counts[i, j]:,})", ha="center", size=7)
    total = f", sum of {len(group.runs)} runs" if len(group.runs) > 1 else ""
    caption = f"Confusion{total}: rows are the annotation, columns the apparent expression; % of the row (images)."
    return to_markup(figure, f"Confusion matrix of {group.title}", caption)


def recall_chart(group: Group) -> Markup:
    """Draw the recall of each class: the mean of the runs, and a mark for each if there are several."""
    recalls = {label: values for label in group.labels() if (values := _recalls(group, label))}
    if not recalls:
        return NOTHING
    figure, axes = new_figure()
    set_percent(axes.yaxis)
    means = [statistics.fmean(values) for values in recalls.values()]
    bars = axes.bar(range(len(recalls)), means, 0.64, alpha=0.55)
    axes.bar_label(bars, [percent(mean, 0) for mean in means], label_type="center")
    for i, values in enumerate(recalls.values()):
        if len(values) > 1:
            axes.plot([i] * len(values), values, "_", color=INK)
    axes.set_xticks(range(len(recalls)), list(recalls), rotation=30)
    axes.set(ylabel="recall")
    words = ", ".join(f"{label} {percent(mean, 0)} %" for label, mean in zip(recalls, means, strict=True))
    return to_markup(figure, f"Recall of each class of {group.title}", f"Recall: {words}.")


def recall_table(groups: Sequence[Group]) -> Markup:
    """Return the recall of every group side by side, in percent."""
    labels = list(dict.fromkeys(label for group in groups for label in group.labels() if _recalls(group, label)))
    if not labels:
        return NOTHING
    recalls = ((group.title, [_recalls(group, label) for label in labels]) for group in groups)
    rows = ([title, *(percent(statistics.fmean(v)) if v else NONE for v in values)] for title, values in recalls)
    return table("Recall of each class, % (mean of the runs)", ["run", *labels], rows, range(1, len(labels) + 1))


def _recalls(group: Group, label: str) -> list[float]:
    return group.scores(f"per_class.{label}.recall")


def reliability_diagram(group: Group) -> Markup:
    """Draw accuracy against confidence, in bins of equal width, and the share of the predictions in each bin."""
    found = [run.predictions for run in group.runs if run.predictions is not None]
    if not found:
        return NOTHING
    figure, axes = new_figure()
    set_percent(axes.xaxis)
    set_percent(axes.yaxis)
    axes.set(xlabel="confidence", ylabel="accuracy")
    bins, gaps = map(np.concatenate, zip(*(confidence_gaps(p.probabilities, p.labels) for p in found), strict=True))
    confidence = np.concatenate([p.probabilities.max(axis=1) for p in found]).astype(np.float64)
    counts = np.bincount(bins, minlength=ECE_BINS)
    axes.bar(
        np.arange(ECE_BINS) / ECE_BINS, counts / counts.sum(), 1 / ECE_BINS, align="edge", color=COLOURS[5], alpha=0.55
    )
    axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1)
    means = [
        (confidence[bins == b].mean(), (gaps + confidence)[bins == b].mean())
        for b in np.flatnonzero(counts >= MIN_IN_BIN)
    ]
    axes.plot(*np.reshape(means, (-1, 2)).T, "o-", color=COLOURS[0])
    error = statistics.fmean(ece(p.probabilities, p.labels) for p in found)
    return to_markup(
        figure,
        f"Reliability of {group.title}",
        f"Reliability on {int(counts.sum()):,} predictions: dots are means of bins with {MIN_IN_BIN} or more,"
        " the dashed line is perfect calibration, bars are the share of the predictions in each bin."
        f" ECE {error:.3f}, {ECE_BINS} bins.",
    )


def feature_plane(group: Group, run: Run, positions: NDArray[np.floating]) -> Markup:
    """Draw features in the plane, coloured by label; rings are confident mistakes.

    `positions`, (n, 2), has one row per feature of the run.
    """
    features, labels = run.features, group.labels()
    if features is None:
        return NOTHING
    figure, axes = new_figure(height=4.2)
    axes.set_axis_off()
    for number in np.unique(features.labels):
        label = labels[number] if 0 <= number < len(labels) else f"class {number}"
        colour = COLOURS[LABEL_COLOURS.get(label, int(number)) % len(COLOURS)]
        places = positions[features.labels == number].T
        axes.plot(*places, MARKERS[number % len(MARKERS)], color=colour, alpha=0.75, mew=0, label=label)
    rows = run.predictions.rows[confident_mistakes(run.predictions, CONFIDENT)] if run.predictions else np.empty(0)
    rings = positions[np.isin(features.rows, rows)]
    axes.plot(*rings.T, "o", color=INK, fillstyle="none", markersize=7)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 0))
    note = f" Rings: {len(rings)} mistakes with a probability of {100 * CONFIDENT:.0f} % or more." if len(rows) else ""
    return to_markup(
        figure,
        f"Features of {group.title} in the plane, coloured by annotation",
        f"t-SNE of the features of {len(positions):,} faces, coloured by annotation.{note}"
        " Distances between distant groups have no meaning.",
    )
