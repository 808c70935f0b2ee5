"""Assembles the report: one HTML file that contains its style and figures and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import matplotlib as mpl

import mien
from mien.core.whole_file import write_whole
from mien.evaluation.report.drawing import STYLE
from mien.evaluation.report.efficiency import efficiency_table, own_points, quality_plane
from mien.evaluation.report.figures import overlaid_curves, recall_table
from mien.evaluation.report.groups import group_runs
from mien.evaluation.report.markup import Markup, element, join
from mien.evaluation.report.measurements import read_footprints, read_robustness_of_models
from mien.evaluation.report.papers import paper_tables, reported_points
from mien.evaluation.report.robustness import robustness_section
from mien.evaluation.report.runs import Run, Warn, read_runs
from mien.evaluation.report.sections import Embed, group_section, summary
from mien.evaluation.reported import PAPERS, load_reported

PAGE = "index.html"
TITLE = "Training runs: {folder}"
INTRODUCTION = (
    "Apparent expression: how a face looks to the people who annotated the images, not what anybody feels. Scores come "
    "from the run records of this folder."
)
REPORTED = (
    "Reported figures are quoted from the papers. They and ours are given with their protocol, because figures that "
    "were selected on their own test set are not comparable with others."
)


def write_report(results: Path, out: Path, data: Path | None, embed: Embed, warn: Warn) -> Path:
    """Write the report of a results folder and return its file.

    Args:
        results: The folder with run records, at any depth.
        out: The folder to write index.html to; made if missing.
        data: Folder or file of the data set, for example faces.
        embed: Maps features to the plane, for their figure.
        warn: Called with one line for whatever is left out, and why.

    Raises:
        DataError: There is no run record.
    """
    runs = read_runs(results, warn)
    with mpl.rc_context(STYLE):
        page = _build_page(runs, results, data, embed, warn)
    path = out / PAGE
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path


def _build_page(runs: Sequence[Run], results: Path, data: Path | None, embed: Embed, warn: Warn) -> str:
    reported = load_reported()
    groups = group_runs(runs)
    papers = [(f"paper-{key}", title, paper_tables(key, runs, reported)) for key, title in PAPERS.items()]
    papers = [(key, title, body) for key, title, body in papers if body]
    plane = [quality_plane(reported_points(reported), own_points(groups))] if papers else []
    sections = [
        ("summary", "Summary", [summary(groups, reported), overlaid_curves(groups), recall_table(groups)]),
        ("runs", "Runs", [group_section(group, data, embed, warn) for group in groups]),
        ("efficiency", "Efficiency", [efficiency_table(groups, read_footprints(results, warn)), *plane]),
        ("robustness", "Robustness of other models", map(robustness_section, read_robustness_of_models(results, warn))),
        *((key, title, [body]) for key, title, body in papers),
    ]
    used = [(anchor, title, body) for anchor, title, content in sections if (body := join(content))]
    links = (element("li", element("a", title, href=f"#{anchor}")) for anchor, title, _ in used)
    counts = f"Runs: {len(runs)}; recipes, ablations and protocols: {len(groups)}; mien {mien.__version__}."
    header = element(
        "header",
        element("h1", TITLE.format(folder=results.resolve().name)),
        element("p", counts, class_="soft"),
        element("p", f"{INTRODUCTION} {REPORTED}" if papers else INTRODUCTION),
        element("nav", element("ul", *links), aria_label="Sections"),
    )
    main = element("main", *(element("section", element("h2", title), body, id=key) for key, title, body in used))
    return "<!doctype html>\n" + element("html", _head(), element("body", header, main), lang="en") + "\n"


def _head() -> Markup:
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    # nothing is loaded or run: no script, and images only from within the file
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", "mien report"),
        element("style", Markup(style)),
    )
