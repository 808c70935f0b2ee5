"""The page's sections about runs: the summary of all, and one section per group with its figures."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.report import figures
from mien.evaluation.report.explanations import explanation_section
from mien.evaluation.report.groups import MINUS, NONE, Group, mean_and_deviation, number
from mien.evaluation.report.markup import NOTHING, Markup, element, table
from mien.evaluation.report.mistakes import mistake_gallery
from mien.evaluation.report.robustness import robustness_section
from mien.evaluation.report.runs import Warn
from mien.evaluation.reported import ReportedFigure
from mien.evaluation.tables import compare_reported
from mien.recipes.departures import read_settings

# Maps features (n, d) to the plane (n, 2); the same features give the same positions.
Embed = Callable[[NDArray[np.float32]], NDArray[np.floating]]
# What papers call their accuracy.
MAIN_METRICS = ("accuracy", "mean_class_accuracy")
# Fewer features show no structure.
MIN_FEATURES = 10
HEADINGS = ("run", "data set", "metric", "reported", "ours", f"ours {MINUS} reported", "runs", "without duplicates",
            "protocol", "weights chosen by", "epochs", "hardware", "remark")  # fmt: skip
# Columns that are left out if no row has anything in them.
REPORTED, OPTIONAL, OWN = 3, (3, 5, 12), "score"
CAPTION = (
    "Shares in %: mean and sample deviation over the runs (seeds or folds). Without duplicates: on the images without "
    "a pixel-identical image in training."
)
REPORTED_CAPTION = "If a paper prints two figures for one thing, both are quoted; the difference is to the first."


def summary(groups: Sequence[Group], reported: Sequence[ReportedFigure]) -> Markup:
    """Return one row per group: its score, the conditions of its runs and, if a paper reports one, that figure."""
    main = [figure for figure in reported if figure.metric in MAIN_METRICS]
    rows = [_summary_row(group, main) for group in groups]
    used = [i for i in range(len(HEADINGS)) if i not in OPTIONAL or any(row[i] not in ("", NONE) for row in rows)]
    has_reported = REPORTED in used
    headings = [OWN if i == REPORTED + 1 and not has_reported else HEADINGS[i] for i in used]
    numeric = [place for place, i in enumerate(used) if i in range(3, 8)]
    caption = f"{CAPTION} {REPORTED_CAPTION}" if has_reported else CAPTION
    return table(caption, headings, [[row[i] for i in used] for row in rows], numeric)


def group_section(group: Group, data: Path | None, embed: Embed, warn: Warn) -> Markup:
    """Return the section on one group, with the figures that its runs have the data for; see `write_report`."""
    commit = group.first.text("commit")
    robustness = next((run.robustness for run in group.runs if run.robustness), None)
    facts = f"Data: {group.dataset}, {group.protocol}; weights: {group.selection}; records in: "
    facts += ", ".join(run.folder for run in group.runs)
    if commit:
        facts += f"; commit {commit[:12]}{'+' if commit.endswith('+') else ''}"
    charts = [
        figures.learning_curves(group),
        figures.recall_chart(group),
        figures.reliability_diagram(group),
        figures.confusion_matrix(group),
        _feature_plane(group, embed),
    ]
    return element(
        "section",
        element("h3", group.title),
        element("p", facts, class_="soft"),
        element("div", *charts, class_="figures"),
        robustness_section(robustness) if robustness else NOTHING,
        explanation_section(group),
        mistake_gallery(group, data, warn),
        id=anchor(group),
    )


def anchor(group: Group) -> str:
    """Return the id of a group's section, of characters that a URL may contain; a checksum tells namesakes apart."""
    words = "\n".join((*group.key, group.epochs, group.first.folder))
    checksum = zlib.crc32(words.encode("utf-8", "backslashreplace"))
    return f"run-{re.sub(r'[^a-z0-9]+', '-', group.title.lower()).strip('-')[:80]}-{checksum:08x}"


def _summary_row(group: Group, main: Sequence[ReportedFigure]) -> tuple[str, ...]:
    matching = [figure for figure in main if figure.dataset == group.dataset]
    rows = [row for row in compare_reported(matching, (run.record for run in group.runs)) if row.ours is not None]
    first = rows[0] if rows else None
    metric = first.figure.metric if first else MAIN_METRICS[0]
    ours = group.scores(metric)
    printed = dict.fromkeys(number(row.figure.value) for row in rows if row.figure.metric == metric)
    # how the runs depart from their recipe, whether or not the paper reports a figure
    remark = next((found.remark for run in group.runs if (found := read_settings(run.record))), "")
    if first and first.difference is None:
        remark += "; not comparable"
    return (
        element("a", group.title, href=f"#{anchor(group)}"),
        group.dataset,
        metric.replace("_", " "),
        " or ".join(printed) or NONE,
        mean_and_deviation(ours) if ours else "no scores yet",
        number(first.difference if first else None, is_signed=True),
        str(len(group.runs)),
        mean_and_deviation(group.scores(f"without_duplicates.{metric}")),
        group.protocol,
        group.selection,
        group.epochs,
        group.hardware,
        remark,
    )


def _feature_plane(group: Group, embed: Embed) -> Markup:
    run = next((run for run in group.runs if run.features is not None), None)
    if run is None or run.features is None or len(run.features.labels) < MIN_FEATURES:
        return NOTHING
    return figures.feature_plane(group, run, embed(run.features.features))
