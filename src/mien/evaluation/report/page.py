"""Assembles the report: one HTML file that contains its style and figures and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import mien
from mien.core.errors import DataError
from mien.core.whole_file import write_whole
from mien.evaluation.report.efficiency import efficiency_table, own_points, quality_plane
from mien.evaluation.report.figures import recall_table, robustness_section
from mien.evaluation.report.groups import group_runs
from mien.evaluation.report.markup import Markup, element, join
from mien.evaluation.report.measurements import Measurements, read_measurements
from mien.evaluation.report.mistakes import FaceSource
from mien.evaluation.report.papers import paper_tables, reported_points
from mien.evaluation.report.runs import Run, Warn, read_runs
from mien.evaluation.report.sections import Embed, group_section, summary
from mien.evaluation.reported import PAPERS, ReportedFigure, load_reported

PAGE = "index.html"
TITLE = "Recognising apparent facial expressions: reported and ours"
INTRODUCTION = (
    "Apparent expression: how a face looks to the people who annotated the images, not what anybody feels. Reported "
    "figures are quoted from the papers; ours come from the run records of this folder. Both are given with their "
    "protocol, because figures that were selected on their own test set are not comparable with others."
)


@dataclass(frozen=True)
class Sources:
    """What a report may use besides the results folder.

    Attributes:
        data: Folder or file of the data set, for example faces.
        embed: Maps features to the plane, for their figure.
    """

    data: Path | None = None
    embed: Embed | None = None


def write_report(results: Path, out: Path, sources: Sources, warn: Warn) -> Path:
    """Write the report of a results folder and return its file.

    Args:
        results: The folder with run records, at any depth.
        out: The folder to write index.html to; made if missing.
        sources: What else may be used.
        warn: Called with one line for whatever is left out, and why.

    Raises:
        DataError: There is no run record, or the page cannot be written.
    """
    runs = read_runs(results, warn)
    page = build_page(runs, read_measurements(results, warn), load_reported(), sources, warn)
    path = out / PAGE
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, page)
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror or error}.") from None
    return path


def build_page(
    runs: Sequence[Run], measured: Measurements, reported: Sequence[ReportedFigure], sources: Sources, warn: Warn
) -> str:
    """Return the whole page as text."""
    groups = group_runs(runs)
    faces = FaceSource(sources.data, warn)
    plane = quality_plane(reported_points(reported), own_points(groups))
    sections = [
        ("summary", "Summary", [summary(groups, reported), recall_table(groups)]),
        *((f"paper-{key}", title, [paper_tables(key, runs, reported)]) for key, title in PAPERS.items()),
        ("efficiency", "Efficiency", [efficiency_table(groups, measured.footprints), plane]),
        ("robustness", "Robustness of other models", [robustness_section(record) for record in measured.robustness]),
        ("runs", "Runs", [group_section(group, faces, sources.embed) for group in groups]),
    ]
    used = [(anchor, title, body) for anchor, title, content in sections if (body := join(content))]
    links = (element("li", element("a", title, href=f"#{anchor}")) for anchor, title, _ in used)
    counts = f"Runs: {len(runs)}; recipes, ablations and protocols: {len(groups)}; mien {mien.__version__}."
    header = element(
        "header",
        element("h1", TITLE),
        element("p", counts, class_="soft"),
        element("p", INTRODUCTION),
        element("nav", element("ul", *links), aria_label="Sections"),
    )
    main = element("main", *(element("section", element("h2", title), body, id=key) for key, title, body in used))
    return "<!doctype html>\n" + element("html", _head(), element("body", header, main), lang="en") + "\n"


def _head() -> Markup:
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    # nothing is loaded or run: no script, this style and no other, images only from within the file
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
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
