"""The page's sections about runs: the summary of all, and one part a group with its figures."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.report import figures
from mien.evaluation.report.explanations import explanation_section
from mien.evaluation.report.groups import MINUS, NONE, Group, mean_and_deviation, signed
from mien.evaluation.report.markup import NOTHING, Markup, element, join, table
from mien.evaluation.report.mistakes import FaceSource, mistake_gallery
from mien.evaluation.report.robustness import robustness_figure
from mien.evaluation.reported import ReportedFigure
from mien.evaluation.tables import compare
from mien.recipes.departures import read_settings

# Brings features (n, d) to the plane (n, 2); the same features give the same positions.
Embed = Callable[[NDArray[np.float32]], NDArray[np.floating]]
# What papers call their accuracy.
MAIN_METRICS = ("accuracy", "mean_class_accuracy")
# t-SNE of so few says nothing.
FEWEST_FEATURES = 10


def summary(groups: Sequence[Group], reported: Sequence[ReportedFigure]) -> Markup:
    """Return one row a group: reported, ours, difference, and under which conditions ours came about."""
    headings = ("run", "data set", "metric", "reported", "ours", f"ours {MINUS} reported", "runs", "without twins",
                "protocol", "weights chosen by", "epochs", "hardware", "remark")  # fmt: skip
    main = [figure for figure in reported if figure.metric in MAIN_METRICS]
    caption = (
        "Shares in %: mean and sample deviation over the runs (seeds or folds). Without twins: on the images that have"
        " no pixel-identical twin in training. A paper that prints two figures for one thing is quoted with both; the"
        " difference is to the first."
    )
    return table(caption, headings, [_summary_row(group, main) for group in groups], range(3, 8))


def group_section(group: Group, source: FaceSource, embed: Embed | None) -> Markup:
    """Return the part on one group: its figures as far as there is something to draw.

    Args:
        group: The group.
        source: Where example faces come from.
        embed: Brings features to the plane; None leaves that figure out.
    """
    run = group.first
    folders = ", ".join(one.folder for one in group.runs)
    facts = f"Data: {group.dataset}, {group.protocol}; weights: {group.selection}; records in: {folders}"
    charts = [
        figures.learning_curves(group),
        figures.recall_chart(group),
        figures.reliability_diagram(group),
        _embedded(group, embed),
    ]
    return element(
        "section",
        {"id": anchor(group)},
        element("h3", NOTHING, group.title),
        element("p", {"class": "soft"}, facts, _commit(run.text("commit"))),
        element("div", {"class": "figures"}, *charts),
        figures.confusion_table(group),
        _robustness(group),
        explanation_section(group),
        mistake_gallery(group, source),
    )


def loose_robustness(records: Sequence[Mapping[str, object]]) -> Markup:
    """Return the panels of robustness records that belong to no run of the folder."""
    return join(robustness_figure(record) for record in records)


def anchor(group: Group) -> str:
    """Return the id of a group's section, of letters that an address may hold; the number tells namesakes apart."""
    words = "\n".join((*group.key, group.epochs, group.first.folder))
    number = zlib.crc32(words.encode("utf-8", "backslashreplace"))
    return f"run-{re.sub(r'[^a-z0-9]+', '-', group.title.lower()).strip('-')[:80]}-{number:08x}"


def _summary_row(group: Group, main: Sequence[ReportedFigure]) -> tuple[str, ...]:
    fitting = [figure for figure in main if figure.dataset == group.dataset]
    rows = [row for row in compare(fitting, (run.record for run in group.runs)) if row.ours is not None]
    first = rows[0] if rows else None
    metric = first.figure.metric if first else MAIN_METRICS[0]
    ours = group.scores(metric)
    printed = dict.fromkeys(f"{row.figure.value:.2f}" for row in rows if row.figure.metric == metric)
    is_comparable = first is not None and first.difference is not None
    return (
        element("a", {"href": f"#{anchor(group)}"}, group.title),
        group.dataset,
        metric.replace("_", " "),
        " or ".join(printed) or NONE,
        mean_and_deviation(ours) if ours else "no scores yet",
        signed(first.difference) if first and first.difference is not None else NONE,
        str(len(group.runs)),
        mean_and_deviation(group.scores(f"without_duplicates.{metric}")),
        group.protocol,
        group.selection,
        group.epochs + ("" if group.is_finished else ", unfinished"),
        group.hardware,
        _remark(group) + ("" if is_comparable or not first else "; no difference is taken"),
    )


def _remark(group: Group) -> str:
    """Say how the runs depart from their recipe, whether or not the paper reports a figure to hold against them."""
    settings = (read_settings(run.record) for run in group.runs)
    return next((found.remark for found in settings if found is not None), "")


def _embedded(group: Group, embed: Embed | None) -> Markup:
    run = next((run for run in group.runs if run.features is not None), None)
    if embed is None or run is None or run.features is None or len(run.features.labels) < FEWEST_FEATURES:
        return Markup("")
    return figures.feature_plane(group, run, embed(run.features.features))


def _robustness(group: Group) -> Markup:
    record = next((run.robustness for run in group.runs if run.robustness is not None), None)
    return Markup("") if record is None else robustness_figure(record)


def _commit(commit: str) -> str:
    return f"; commit {commit[:12]}{'+' if commit.endswith('+') else ''}" if commit else ""
