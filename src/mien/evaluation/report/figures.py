"""The figures of one group of runs: learning curves, recall, confusion, reliability, features."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.evaluation.metrics import ECE_BINS, ece
from mien.evaluation.report.charts import MIN_IN_BIN, draw_confusion, draw_line, draw_reliability, points_of
from mien.evaluation.report.drawing import COLOURS, INK, MARKERS, new_figure, set_percent, to_markup
from mien.evaluation.report.groups import NONE, Group, percent
from mien.evaluation.report.markup import NOTHING, Markup, element, join, table
from mien.evaluation.report.mistakes import confident_mistakes
from mien.evaluation.report.runs import Run

# A mistake with at least this probability counts as confident.
CONFIDENT = 0.8
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
# More curves in one chart could not be distinguished.
MOST_OVERLAID = len(COLOURS)


def learning_curves(group: Group) -> Markup:
    """Draw the losses and the validation accuracy over the epochs, one line per run and quantity."""
    losses, loss_axes = new_figure()
    scores, score_axes = new_figure()
    loss_axes.set_ylabel("loss")
    score_axes.set_ylabel("validation accuracy, %")
    for i, run in enumerate(group.runs):
        curves, name = run.record["curves"], f"seed {run.text('recipe.training.seed', '?')}"
        draw_line(score_axes, points_of(curves, "validation_accuracy", 100), name, i, i)
        prefix = f"{name}, " if len(group.runs) > 1 else ""
        draw_line(loss_axes, points_of(curves, "train_loss"), f"{prefix}training", 0, i)
        draw_line(loss_axes, points_of(curves, "validation_loss"), f"{prefix}validation", 1, i)
    return join(
        (
            _curves_markup(scores, score_axes, f"Validation accuracy of {group.title}", "Validation accuracy"),
            _curves_markup(losses, loss_axes, f"Losses of {group.title}", "Training and validation loss"),
        )
    )


def overlaid_curves(groups: Sequence[Group]) -> Markup:
    """Draw the validation accuracy and loss of several groups in one chart each: the first run of each group.

    Of more than eight groups, those with the best accuracy are drawn.
    """
    best = sorted(groups, key=lambda group: -max(group.scores("accuracy"), default=0.0))
    chosen = [group for group in groups if group in best[:MOST_OVERLAID] and group.first.record["curves"]]
    if len(chosen) < 2:
        return NOTHING
    charts = []
    for key, title, factor in (
        ("validation_accuracy", "Validation accuracy, %", 100.0),
        ("validation_loss", "Validation loss", 1.0),
    ):
        figure, axes = new_figure(height=4.2)
        axes.set_ylabel(title.lower())
        for i, group in enumerate(chosen):
            draw_line(axes, points_of(group.first.record["curves"], key, factor), group.title, i, i)
        charts.append(_curves_markup(figure, axes, f"{title} of {len(chosen)} recipes", title.split(",")[0]))
    note = f"The {len(chosen)} most accurate of {len(groups)}." if len(groups) > len(chosen) else ""
    return join((element("div", *charts, class_="figures"), element("p", note, class_="soft") if note else NOTHING))


def _curves_markup(figure: Figure, axes: Axes, title: str, what: str) -> Markup:
    if not axes.lines:
        return NOTHING
    if len(axes.lines) > 1:
        axes.legend()
    return to_markup(figure, f"{title} over the epochs", f"{what} after each epoch.")


def confusion_matrix(group: Group) -> Markup:
    """Draw the confusion matrix of all runs together."""
    counts, labels = group.confusion(), group.labels()
    if counts is None:
        return NOTHING
    figure, axes = new_figure(height=4.2)
    draw_confusion(axes, counts, labels)
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
    axes.set_xticks(range(len(recalls)), list(recalls), rotation=30, ha="right", rotation_mode="anchor")
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
    number = draw_reliability(axes, found)
    error = statistics.fmean(ece(p.probabilities, p.labels) for p in found)
    return to_markup(
        figure,
        f"Reliability of {group.title}",
        f"Reliability on {number:,} predictions: dots are means of bins with {MIN_IN_BIN} or more,"
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
