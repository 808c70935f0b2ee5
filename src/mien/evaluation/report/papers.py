"""The papers' tables in the report: every reported figure beside ours, or beside the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mien.evaluation.report.efficiency import PlanePoint
from mien.evaluation.report.groups import MINUS, NONE, PLUS_MINUS, signed
from mien.evaluation.report.markup import NOTHING, Markup, element, join, table
from mien.evaluation.report.runs import Run
from mien.evaluation.reported import DATASETS, ReportedFigure
from mien.evaluation.tables import UNTRAINED, Row, compare

HEADINGS = ("row", "column", "reported", "ours", f"ours {MINUS} reported", "runs", "remark", "protocol",
            "weights chosen by", "hardware")  # fmt: skip
FIGURES = range(2, 6)
# Four digits and more are counts, of parameters or of pictures.
COUNTS_FROM = 1000
# The plane's origin is a figure of the paper too, but no model.
NO_MODEL = "origin"


def paper_tables(paper: str, runs: Sequence[Run], reported: Iterable[ReportedFigure]) -> Markup:
    """Return all tables of one paper; those with a figure of ours stand open.

    Args:
        paper: A key of `mien.evaluation.reported.PAPERS`.
        runs: All runs of the folder.
        reported: The figures of all papers.
    """
    rows = compare((figure for figure in reported if figure.paper == paper), (run.record for run in runs))
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(row.figure.table, []).append(row)
    if not tables:
        return element("p", {"class": "soft"}, "No figure of this paper is on record.")
    return join(_table(name, members) for name, members in tables.items())


def reported_points(reported: Iterable[ReportedFigure]) -> list[PlanePoint]:
    """Return the models of which a paper reports both parameters and accuracy on FER2013; the first of two figures."""
    parameters: dict[tuple[str, str], float] = {}
    accuracy: dict[tuple[str, str], float] = {}
    for figure in reported:
        key = (figure.paper, figure.row)
        if figure.row != NO_MODEL and figure.metric == "parameters":
            parameters.setdefault(key, figure.value)
        elif figure.row != NO_MODEL and (figure.metric, figure.dataset) == ("accuracy", "fer2013"):
            accuracy.setdefault(key, figure.value)
    return [
        PlanePoint(f"{row} ({paper})", value, accuracy[paper, row])
        for (paper, row), value in parameters.items()
        if (paper, row) in accuracy
    ]


def format_value(figure: ReportedFigure, value: float) -> str:
    """Return a figure as its kind is written: shares with two decimals, counts with commas."""
    if figure.is_share:
        return f"{value:.2f}"
    return f"{value:,.0f}" if abs(value) >= COUNTS_FROM else f"{value:.4g}"


def _table(name: str, rows: Sequence[Row]) -> Markup:
    is_run = any(row.ours is not None for row in rows)
    cells = [_cells(row) for row in rows]
    done = sum(row.ours is not None for row in rows)
    title = f"{name}: {len(rows)} figures, {done} with runs of ours" if done else f"{name}: {len(rows)} figures"
    body = table(f"{name}: shares in %, other figures as printed", HEADINGS, cells, FIGURES)
    return element("details", {"open": "open"} if is_run else NOTHING, element("summary", NOTHING, title), body)


def _cells(row: Row) -> tuple[str, ...]:
    figure = row.figure
    ours = NONE if row.ours is None else format_value(figure, row.ours)
    if row.deviation is not None and figure.metric not in UNTRAINED:
        ours += f" {PLUS_MINUS} {format_value(figure, row.deviation)}"
    known = figure.column.lower()
    said = (DATASETS[figure.dataset], figure.metric.replace("_", " "))
    # a heading that says it already needs no second word for it
    subject = ", ".join(part for part in said if part and part.lower() not in known)
    detail = join((element("br"), element("small", {"class": "soft"}, subject))) if subject else ""
    remark = "; ".join(part for part in (row.remark, figure.note) if part)
    return (
        figure.row,
        join((figure.column, detail)),
        format_value(figure, figure.value),
        ours,
        NONE if row.difference is None else _difference(figure, row.difference),
        str(row.n) if row.n else NONE,
        remark,
        row.protocol,
        row.selection,
        row.hardware,
    )


def _difference(figure: ReportedFigure, value: float) -> str:
    if figure.is_share:
        return signed(value)
    written = f"{value:+,.0f}" if abs(value) >= COUNTS_FROM else f"{value:+.3g}"
    return written.replace("-", MINUS)
