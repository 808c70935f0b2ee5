"""The papers' tables in the report: every reported figure beside ours, or why there is none of ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mien.evaluation.report.efficiency import PlanePoint
from mien.evaluation.report.groups import MINUS, NONE, PLUS_MINUS, number
from mien.evaluation.report.markup import NOTHING, Markup, element, join, table
from mien.evaluation.report.runs import Run
from mien.evaluation.reported import DATASETS, ReportedFigure
from mien.evaluation.tables import UNTRAINED, Row, compare_reported

HEADINGS = ("row", "column", "reported", "ours", f"ours {MINUS} reported", "runs", "remark", "protocol",
            "weights chosen by", "hardware")  # fmt: skip
# From this value on, figures are counts, of parameters or of images.
COUNTS_FROM = 1000
# A row of the plane's table that is not a model.
ORIGIN = "origin"


def paper_tables(paper: str, runs: Sequence[Run], reported: Iterable[ReportedFigure]) -> Markup:
    """Return all tables of one paper, a key of `PAPERS`; nothing if no run has one of its figures.

    Tables with one of our figures are expanded.
    """
    tables: dict[str, list[Row]] = {}
    for row in compare_reported((figure for figure in reported if figure.paper == paper), (run.record for run in runs)):
        tables.setdefault(row.figure.table, []).append(row)
    if all(row.ours is None for rows in tables.values() for row in rows):
        return NOTHING
    return join(_table(name, rows) for name, rows in tables.items())


def reported_points(reported: Iterable[ReportedFigure]) -> list[PlanePoint]:
    """Return the models with a reported number of parameters and accuracy on FER2013; of two figures, the first."""
    parameters: dict[tuple[str, str], float] = {}
    accuracy: dict[tuple[str, str], float] = {}
    for figure in reported:
        key = (figure.paper, figure.row)
        if figure.row != ORIGIN and figure.metric == "parameters":
            parameters.setdefault(key, figure.value)
        elif figure.row != ORIGIN and (figure.metric, figure.dataset) == ("accuracy", "fer2013"):
            accuracy.setdefault(key, figure.value)
    return [
        PlanePoint(f"{row} ({paper})", parameters[paper, row], accuracy[paper, row])
        for paper, row in parameters
        if (paper, row) in accuracy
    ]


def format_value(figure: ReportedFigure, value: float, *, is_signed: bool = False) -> str:
    """Return a value in the figure's kind: shares with two decimals, counts with commas; a difference is signed."""
    if figure.is_share:
        return number(value, is_signed=is_signed)
    digits = ",.0f" if abs(value) >= COUNTS_FROM else ".3g" if is_signed else ".4g"
    return f"{value:{'+' if is_signed else ''}{digits}}".replace("-", MINUS)


def _table(name: str, rows: Sequence[Row]) -> Markup:
    done = sum(row.ours is not None for row in rows)
    title = f"{name}: {len(rows)} figures" + (f", {done} with runs of ours" if done else "")
    body = table(f"{name}: shares in %, other figures as printed", HEADINGS, map(_cells, rows), range(2, 6))
    return element("details", element("summary", title), body, **({"open": "open"} if done else {}))


def _cells(row: Row) -> tuple[str, ...]:
    figure = row.figure
    ours = NONE if row.ours is None else format_value(figure, row.ours)
    if row.deviation is not None and figure.metric not in UNTRAINED:
        ours += f" {PLUS_MINUS} {format_value(figure, row.deviation)}"
    heading = figure.column.lower()
    details = (DATASETS[figure.dataset], figure.metric.replace("_", " "))
    subject = ", ".join(part for part in details if part and part.lower() not in heading)
    below = join((element("br"), element("small", subject, class_="soft"))) if subject else ""
    return (
        figure.row,
        join((figure.column, below)),
        format_value(figure, figure.value),
        ours,
        NONE if row.difference is None else format_value(figure, row.difference, is_signed=True),
        str(row.n) if row.n else NONE,
        "; ".join(part for part in (row.remark, figure.note) if part),
        row.protocol,
        row.selection,
        row.hardware,
    )
