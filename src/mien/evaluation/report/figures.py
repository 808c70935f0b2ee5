"""The figures of one group of runs: learning curves, confusion, recall, reliability, features, robustness."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core import dotted
from mien.core.dotted import finite
from mien.evaluation.metrics import ECE_BINS, confidence_gaps, ece, predicted
from mien.evaluation.report.groups import NONE, Group, percent
from mien.evaluation.report.markup import Markup, element, join, scrolling, table
from mien.evaluation.report.plot import COLOURS, DASH, RING, Axis, Plot
from mien.evaluation.report.runs import Run, look_up

NOTHING = Markup("")
# A mistake counts as confident from this probability.
CONFIDENT = 0.8
HEAT_STEPS = 10
# The mean of fewer predictions is mostly noise.
MIN_IN_BIN = 10
# Each expression has one colour in all figures, see style.css; other labels get the colour of their position.
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
        curves = [_curve(run, key, factor) for run in group.runs]
        epochs, values = ([point[i] for curve in curves for point in curve] for i in (0, 1))
        if not values:
            continue
        plot = Plot(Axis.over(epochs, "epoch"), Axis.over(values, label), f"{title} of {group.title} over the epochs")
        for i, (run, curve) in enumerate(zip(group.runs, curves, strict=True)):
            plot.line(curve, i, f"line d{i % 4}")
            if len(curve) == 1:
                plot.marks(curve, i)
            if len(group.runs) > 1:
                plot.name(f"seed {run.text('recipe.training.seed', '?')}", i, DASH)
        charts.append(plot.draw(f"{title} after each epoch."))
    return join(charts)


def _curve(run: Run, key: str, factor: float) -> list[tuple[float, float]]:
    pairs = ((finite(look_up(row, "epoch")), finite(look_up(row, key))) for row in run.record["curves"])
    return [(epoch + 1, factor * value) for epoch, value in pairs if epoch is not None and value is not None]


def confusion_table(group: Group) -> Markup:
    """Return the confusion matrix as a table: shares of each row, shaded, with the counts."""
    counts, labels = group.confusion(), group.labels()
    if counts is None:
        return NOTHING
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = []
    for i, label in enumerate(labels):
        cells = (_heat_cell(shares[i, j], int(counts[i, j]), i == j) for j in range(len(labels)))
        rows.append(element("tr", element("th", label, scope="row"), *cells))
    head = element("tr", element("td"), *(element("th", label, scope="col") for label in labels))
    total = f", sum of {len(group.runs)} runs" if len(group.runs) > 1 else ""
    caption = f"Confusion{total}: rows are the annotation, columns the apparent expression; % of the row (images)"
    content = (element("thead", head), element("tbody", *rows))
    return scrolling(caption, element("table", *content, class_="confusion"))


def _heat_cell(share: float, count: int, is_hit: bool) -> Markup:
    style = f"number h{round(share * HEAT_STEPS)}" + (" hit" if is_hit else "")
    return element("td", f"{100 * share:.0f}", " ", element("small", f"({count:,})"), class_=style)


def recall_chart(group: Group) -> Markup:
    """Draw the recall of each class: the mean of the runs, and a mark per run if there are several."""
    recalls = {label: values for label in group.labels() if (values := group.recalls(label))}
    if not recalls:
        return NOTHING
    ticks = tuple((i + 0.5, label) for i, label in enumerate(recalls))
    plot = Plot(Axis(0, len(recalls), "", ticks), Axis.share("recall"), f"Recall of each class of {group.title}")
    words = []
    for i, (label, values) in enumerate(recalls.items()):
        mean = statistics.fmean(values)
        plot.bar((i + 0.18, i + 0.82), mean, 0)
        plot.text((i + 0.5, 0), percent(mean, 0), shift=-6)
        if len(values) > 1:
            plot.marks([(i + 0.5, value) for value in values], 7, "m-4-.6h8v1.2h-8z")
        words.append(f"{label} {percent(mean, 0)} %")
    return plot.draw("Recall: " + ", ".join(words) + ".")


def recall_table(groups: Sequence[Group]) -> Markup:
    """Return the recall of every group side by side, in percent."""
    labels = list(dict.fromkeys(label for group in groups for label in group.labels() if group.recalls(label)))
    if not labels:
        return NOTHING
    recalls = ((group.title, [group.recalls(label) for label in labels]) for group in groups)
    rows = ([title, *(percent(statistics.fmean(v)) if v else NONE for v in values)] for title, values in recalls)
    return table("Recall of each class, % (mean of the runs)", ["run", *labels], rows, range(1, len(labels) + 1))


def reliability_diagram(group: Group) -> Markup:
    """Draw accuracy against confidence, in bins of equal width, and the share of the predictions in each bin."""
    found = [run.predictions for run in group.runs if run.predictions is not None and len(run.predictions)]
    if not found:
        return NOTHING
    plot = Plot(Axis.share("confidence"), Axis.share("accuracy"), f"Reliability of {group.title}")
    bins, gaps = (
        np.concatenate(parts)
        for parts in zip(*(confidence_gaps(p.probabilities, p.labels) for p in found), strict=True)
    )
    confidence = np.concatenate([p.probabilities.max(axis=1) for p in found]).astype(np.float64)
    counts = np.bincount(bins, minlength=ECE_BINS)
    for b in np.flatnonzero(counts):
        plot.bar((b / ECE_BINS, (b + 1) / ECE_BINS), float(counts[b] / counts.sum()), 5)
    plot.line([(0, 0), (1, 1)], 7, "line thin d1")
    large = np.flatnonzero(counts >= MIN_IN_BIN)
    means = [(float(confidence[bins == b].mean()), float((gaps + confidence)[bins == b].mean())) for b in large]
    plot.line(means, 0)
    plot.marks(means, 0)
    error = statistics.fmean(ece(p.probabilities, p.labels) for p in found)
    return plot.draw(
        f"Reliability on {int(counts.sum()):,} predictions: dots are means of bins with {MIN_IN_BIN} or more,"
        " the dashed line is perfect calibration, bars are the share of the predictions in each bin."
        f" ECE {error:.3f}, {ECE_BINS} bins."
    )


def feature_plane(group: Group, run: Run, positions: NDArray[np.floating]) -> Markup:
    """Draw features in the plane, coloured by label; rings are confident mistakes.

    Args:
        group: The group of the run.
        run: The run with features.
        positions: (n, 2), one per row of the features.
    """
    features, labels = run.features, group.labels()
    if features is None or not len(features.labels):
        return NOTHING
    low, high = positions.min(axis=0), positions.max(axis=0)
    placed = [(float(x), float(y)) for x, y in (positions - low) / np.maximum(high - low, 1e-9)]
    axis = Axis(-0.03, 1.03, "", ())
    plot = Plot(axis, axis, f"Features of {group.title} in the plane, coloured by annotation", height=400, left=12)
    for number in np.unique(features.labels):
        label = labels[number] if 0 <= number < len(labels) else f"class {number}"
        colour = LABEL_COLOURS.get(label, int(number)) % COLOURS
        plot.marks([placed[i] for i in np.flatnonzero(features.labels == number)], colour, style="mark dot")
        plot.name(label, colour)
    mistakes = _confident_mistakes(run)
    rings = [placed[i] for i in np.flatnonzero(np.isin(features.rows, mistakes))]
    plot.marks(rings, 7, RING, "ring")
    note = f" Rings: {len(rings)} mistakes with a probability of {CONFIDENT:.0%} or more." if len(mistakes) else ""
    return plot.draw(
        f"t-SNE of the features of {len(placed):,} faces, coloured by annotation.{note}"
        " Distances between distant groups have no meaning."
    )


def _confident_mistakes(run: Run) -> NDArray[np.int64]:
    """Return the row numbers of wrong predictions with a probability of `CONFIDENT` or more."""
    if run.predictions is None or not len(run.predictions):
        return np.empty(0, dtype=np.int64)
    probabilities = run.predictions.probabilities
    is_wrong = predicted(probabilities) != run.predictions.labels
    rows: NDArray[np.int64] = run.predictions.rows[is_wrong & (probabilities.max(axis=1) >= CONFIDENT)]
    return rows


def robustness_section(record: Mapping[str, Any]) -> Markup:
    """Draw the accuracy kept under each corruption, from a record of `mien robustness`; nothing if it has no curve."""
    found = {name.replace("_", " "): _kept(curve) for name, curve in dotted.group(record, "corruptions").items()}
    curves = {name: points for name, points in found.items() if points}
    if not curves:
        return NOTHING
    model, accuracy, kept = record.get("model", "the model"), look_up(record, "clean.accuracy"), record.get("kept")
    words = f"{model} on {record.get('dataset', 'unnamed data')}, {record.get('split', 'unnamed split')}."
    if finite(accuracy) is not None:
        words += f" Accuracy on clean images: {percent(accuracy)} %; the curves are shares of it."
    if finite(kept) is not None:
        words += f" Mean over all corruptions and severities: {percent(kept, 1)} % kept."
    top = max(1.0, *(y for points in curves.values() for _, y in points))
    shares = tuple((share, f"{share:.0%}") for share in (0.0, 0.5, 1.0))
    panels = []
    for name, points in curves.items():
        x = Axis(0, max(x for x, _ in points), "severity", tuple((x, f"{x:g}") for x, _ in points))
        y = Axis(0, max(top, 1.1) if top > 1 else 1, "", shares)
        plot = Plot(x, y, f"Accuracy kept by {model} under {name}", width=232, height=150, left=44)
        plot.line([(0, 1), *points], 0)
        plot.marks([(0, 1), *points], 0)
        panels.append(plot.draw(f"{name}: {percent(points[-1][1], 0)} % kept at severity {points[-1][0]:g}"))
    heading, text = element("h4", "Robustness"), element("p", words, class_="soft")
    return element("div", heading, text, element("div", *panels, class_="panels"))


def _kept(curve: object) -> list[tuple[float, float]]:
    """Return (severity, accuracy kept) of a curve's valid points, by severity."""
    points = look_up(curve, "points")
    found = points if isinstance(points, list) else []
    pairs = [(finite(look_up(point, "severity")), finite(look_up(point, "kept"))) for point in found]
    return sorted((s, kept) for s, kept in pairs if s is not None and kept is not None and s > 0 and kept >= 0)
