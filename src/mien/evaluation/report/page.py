"""Puts the report together: one HTML file with its style and figures inside, which asks for nothing from anywhere."""

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
from mien.evaluation.report.figures import recall_table
from mien.evaluation.report.groups import Group, group_runs
from mien.evaluation.report.markup import NOTHING, Markup, element, join
from mien.evaluation.report.measurements import Measurements, read_measurements
from mien.evaluation.report.mistakes import FaceSource
from mien.evaluation.report.papers import paper_tables, reported_points
from mien.evaluation.report.runs import Run, Warn, read_runs
from mien.evaluation.report.sections import Embed, group_section, loose_robustness, summary
from mien.evaluation.reported import PAPERS, ReportedFigure, load_reported

PAGE = "index.html"
PROMISE = (
    "Apparent expression: how a face looks to the people who annotated the pictures, not what anybody feels. "
    "Reported figures are the papers' own, quoted; ours come from the run records of this folder. Both stand side by "
    "side with their protocol, because figures selected on their own test set and figures that are not do not compare."
)


@dataclass(frozen=True)
class Sources:
    """What a report may use besides the results folder.

    Attributes:
        data: Folder or file of the data set, for example faces.
        embed: Brings features to the plane, for their figure.
    """

    data: Path | None = None
    embed: Embed | None = None


def write_report(results: Path, out: Path, sources: Sources, warn: Warn) -> Path:
    """Write the report of a results folder and return its file.

    Args:
        results: The folder with run records, at any depth.
        out: The folder that index.html is written to; made if missing.
        sources: What else may be used.
        warn: Told in one line what is left out and why.

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
    parts = [
        ("summary", "Summary", [summary(groups, reported), recall_table(groups)]),
        *((f"paper-{key}", title, [paper_tables(key, runs, reported)]) for key, title in PAPERS.items()),
        ("efficiency", "Efficiency", _efficiency(groups, measured, reported)),
        ("robustness", "Robustness of other models", [loose_robustness(measured.robustness)]),
        ("runs", "Runs", [group_section(group, faces, sources.embed) for group in groups]),
    ]
    used = [(anchor, title, body) for anchor, title, content in parts if (body := join(content))]
    sections = (element("section", {"id": anchor}, element("h2", NOTHING, title), body) for anchor, title, body in used)
    counted = f"Runs: {len(runs)}; recipes, ablations and protocols: {len(groups)}; mien {mien.__version__}."
    header = _header(counted, [(anchor, title) for anchor, title, _ in used])
    return _document(join([header, element("main", NOTHING, *sections)]))


def _header(counted: str, places: Sequence[tuple[str, str]]) -> Markup:
    links = (element("li", NOTHING, element("a", {"href": f"#{anchor}"}, title)) for anchor, title in places)
    return element(
        "header",
        NOTHING,
        element("h1", NOTHING, "Recognising apparent facial expressions: reported and ours"),
        element("p", {"class": "soft"}, counted),
        element("p", NOTHING, PROMISE),
        element("nav", {"aria-label": "Sections"}, element("ul", NOTHING, *links)),
    )


def _efficiency(groups: Sequence[Group], measured: Measurements, reported: Sequence[ReportedFigure]) -> list[Markup]:
    table = efficiency_table(groups, measured.footprints)
    return [table, quality_plane(reported_points(reported), own_points(groups))]


def _document(body: Markup) -> str:
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    # nothing may be loaded or run: no script at all, this style and no other, pictures only from within the file
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        NOTHING,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        element("link", {"rel": "icon", "href": "data:,"}),
        element("title", NOTHING, "mien report"),
        element("style", NOTHING, Markup(style)),
    )
    return "<!doctype html>\n" + element("html", {"lang": "en"}, head, element("body", NOTHING, body)) + "\n"
