"""The figures of one group of runs: learning curves, recall, reliability, features in the plane, robustness."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.dotted import finite
from mien.evaluation.metrics import ECE_BINS, confidence_gaps, ece, predicted
from mien.evaluation.predictions import Predictions
from mien.evaluation.report.groups import NONE, Group, percent
from mien.evaluation.report.markup import NOTHING, Markup, element, join, scrolling, table
from mien.evaluation.report.plot import COLOURS, RING, Axis, Plot
from mien.evaluation.report.runs import Run

# A mistake counts as confident from this probability up.
CONFIDENT = 0.8
HEAT_STEPS = 10
# The mean of fewer predictions is chance.
FEWEST_IN_BIN = 10
# An expression has one colour in all figures, as numbered in style.css; other labels take the next ones.
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


def label_colour(label: str, position: int) -> int:
    """Return the colour number of a label."""
    return LABEL_COLOURS.get(label, position) % COLOURS


def learning_curves(group: Group) -> Markup:
    """Draw validation accuracy and training loss over the epochs, a line a run."""
    charts = []
    for key, label, factor in (("validation_accuracy", "validation accuracy, %", 100.0), ("train_loss", "loss", 1.0)):
        curves = [_curve(run, key, factor) for run in group.runs]
        values = [y for curve in curves for _, y in curve]
        if not values:
            continue
        epochs = [x for curve in curves for x, _ in curve]
        what = "Validation accuracy" if key == "validation_accuracy" else "Training loss"
        plot = Plot(Axis.over(epochs, "epoch"), Axis.over(values, label), f"{what} of {group.title} over the epochs")
        for i, (run, curve) in enumerate(zip(group.runs, curves, strict=True)):
            plot.line(curve, i, f"line d{i % 4}")
            if len(curve) == 1:
                plot.marks(curve, i)
            if len(group.runs) > 1:
                plot.name(f"seed {run.text('recipe.training.seed', '?')}", i, "m-6-1h12v2h-12z")
        charts.append(plot.draw(f"{what} after each epoch."))
    return join(charts)


def confusion_table(group: Group) -> Markup:
    """Return the confusion matrix as a table: shares of each row, shaded, with the counts."""
    counts, labels = group.confusion(), group.labels()
    if counts is None:
        return Markup("")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = []
    for i, label in enumerate(labels):
        cells = (_heat_cell(shares[i, j], int(counts[i, j]), i == j) for j in range(len(labels)))
        rows.append(element("tr", NOTHING, element("th", {"scope": "row"}, label), *cells))
    head = element("tr", NOTHING, element("td"), *(element("th", {"scope": "col"}, label) for label in labels))
    n = len(group.runs)
    together = f", {n} runs added up" if n > 1 else ""
    caption = f"Confusion{together}: rows are the annotation, columns the apparent expression; % of the row (images)"
    content = (element("thead", NOTHING, head), element("tbody", NOTHING, *rows))
    return scrolling(caption, element("table", {"class": "confusion"}, *content))


def recall_chart(group: Group) -> Markup:
    """Draw the recall of each class: the mean of the runs, with every run as a mark where there are several."""
    labels = [label for label in group.labels() if group.recalls(label)]
    if not labels:
        return Markup("")
    ticks = tuple((i + 0.5, label) for i, label in enumerate(labels))
    plot = Plot(Axis(0, len(labels), "", ticks), Axis.share("recall"), f"Recall of each class of {group.title}")
    said = []
    for i, label in enumerate(labels):
        values = group.recalls(label)
        mean = statistics.fmean(values)
        plot.bar((i + 0.18, i + 0.82), mean, 0)
        plot.text((i + 0.5, 0), f"{100 * mean:.0f}", shift=-6)
        if len(values) > 1:
            plot.marks([(i + 0.5, value) for value in values], 7, "m-4-.6h8v1.2h-8z")
        said.append(f"{label} {100 * mean:.0f} %")
    return plot.draw("Recall: " + ", ".join(said) + ".")


def reliability_diagram(group: Group) -> Markup:
    """Draw how often the runs are right against how sure they are, in bins of equal width; bars show the images."""
    given = [run.predictions for run in group.runs if run.predictions is not None and len(run.predictions)]
    if not given:
        return Markup("")
    plot = Plot(Axis.share("confidence"), Axis.share("share that is right"), f"Reliability of {group.title}")
    index, gaps, sure = (np.concatenate(parts) for parts in zip(*map(_confidences, given), strict=True))
    counts = np.bincount(index, minlength=ECE_BINS)
    for b in np.flatnonzero(counts):
        plot.bar((b / ECE_BINS, (b + 1) / ECE_BINS), float(counts[b] / counts.sum()), 5)
    plot.line([(0, 0), (1, 1)], 7, "line thin d1")
    told = np.flatnonzero(counts >= FEWEST_IN_BIN)
    means = [(float(sure[index == b].mean()), float((gaps + sure)[index == b].mean())) for b in told]
    plot.line(means, 0)
    plot.marks(means, 0)
    error = statistics.fmean(ece(p.probabilities, p.labels) for p in given)
    return plot.draw(
        f"Reliability on {int(counts.sum()):,} predictions: dots are the means of bins with {FEWEST_IN_BIN} and more,"
        f" the dashed line is perfect, bars are the share of the predictions in each bin."
        f" ECE {error:.3f}, {ECE_BINS} bins."
    )


def feature_plane(group: Group, run: Run, positions: NDArray[np.floating]) -> Markup:
    """Draw features brought to the plane, coloured by label; rings are confident mistakes.

    Args:
        group: The group the run belongs to.
        run: The run with features.
        positions: (n, 2), one a row of the features.
    """
    features, labels = run.features, group.labels()
    if features is None or not len(features.labels):
        return Markup("")
    low, high = positions.min(axis=0), positions.max(axis=0)
    placed = (positions - low) / np.maximum(high - low, 1e-9)
    axis = Axis(-0.03, 1.03, "", ())
    plot = Plot(axis, axis, f"Features of {group.title} in the plane, coloured by annotation", height=400, left=12)
    for number in np.unique(features.labels):
        label = labels[number] if 0 <= number < len(labels) else f"class {number}"
        colour = label_colour(label, int(number))
        chosen = placed[features.labels == number]
        plot.marks([(float(x), float(y)) for x, y in chosen], colour, style="mark dot")
        plot.name(label, colour)
    wrong = _confident_mistakes(run)
    rings = placed[np.isin(features.rows, wrong)]
    plot.marks([(float(x), float(y)) for x, y in rings], 7, RING, "ring")
    limit = f"{100 * CONFIDENT:.0f} %"
    noted = f" Rings: mistakes with a probability of {limit} and more ({len(rings)})." if len(wrong) else ""
    return plot.draw(
        f"t-SNE of the features of {len(placed):,} faces, coloured by annotation.{noted}"
        " Distances between far groups mean nothing."
    )


def robustness_panels(name: str, curves: dict[str, list[tuple[float, float]]]) -> Markup:
    """Draw the share of the accuracy that is kept, one small chart a corruption.

    Args:
        name: Whose curves these are.
        curves: (severity, accuracy kept as a share) by corruption, in the order of the severities.
    """
    top = max((y for curve in curves.values() for _, y in curve), default=1.0)
    high = 1.0 if top <= 1 else 1.1
    ticks = tuple((share, f"{share:.0%}") for share in (0.0, 0.5, 1.0))
    panels = []
    for corruption, curve in curves.items():
        x = Axis(0, max(x for x, _ in curve), "severity", tuple((v, f"{v:g}") for v, _ in curve))
        title = f"Accuracy kept by {name} under {corruption}"
        plot = Plot(x, Axis(0, max(high, top), "", ticks), title, width=232, height=150, left=44)
        plot.line([(0, 1), *curve], 0)
        plot.marks([(0, 1), *curve], 0)
        panels.append(plot.draw(f"{corruption}: {100 * curve[-1][1]:.0f} % kept at severity {curve[-1][0]:g}"))
    return element("div", {"class": "panels"}, *panels)


def recall_table(groups: Sequence[Group]) -> Markup:
    """Return the recall of every group side by side, in percent."""
    labels = list(dict.fromkeys(label for group in groups for label in group.labels() if group.recalls(label)))
    if not labels:
        return Markup("")
    rows = [[group.title, *(_mean(group.recalls(label)) for label in labels)] for group in groups]
    return table("Recall of each class, % (mean of the runs)", ["run", *labels], rows, range(1, len(labels) + 1))


def _mean(values: list[float]) -> str:
    return percent(statistics.fmean(values)) if values else NONE


def _curve(run: Run, key: str, factor: float) -> list[tuple[float, float]]:
    points = []
    for row in run.record["curves"]:
        epoch, value = (finite(row.get(name)) for name in ("epoch", key)) if isinstance(row, dict) else (None, None)
        if epoch is not None and value is not None:
            points.append((epoch + 1, factor * value))
    return points


def _heat_cell(share: float, count: int, is_hit: bool) -> Markup:
    attributes = {"class": f"figure h{round(share * HEAT_STEPS)}" + (" hit" if is_hit else "")}
    return element("td", attributes, f"{100 * share:.0f}", " ", element("small", NOTHING, f"({count:,})"))


def _confidences(predictions: Predictions) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    index, gaps = confidence_gaps(predictions.probabilities, predictions.labels)
    return index, gaps, predictions.probabilities.max(axis=1).astype(np.float64)


def _confident_mistakes(run: Run) -> NDArray[np.int64]:
    if run.predictions is None or not len(run.predictions):
        return np.empty(0, dtype=np.int64)
    probabilities = run.predictions.probabilities
    wrong = predicted(probabilities) != run.predictions.labels
    rows: NDArray[np.int64] = run.predictions.rows[wrong & (probabilities.max(axis=1) >= CONFIDENT)]
    return rows
