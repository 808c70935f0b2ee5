"""Markdown tables and numbers as the generated pages have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def make_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, an empty line behind it; cells are escaped."""
    lines = [[escape(cell) for cell in line] for line in (header, *rows)]
    lines.insert(1, ["---"] * len(header))
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def escape(text: str) -> str:
    """Return text that stands in a cell as it is: one line, no column mark, no tag."""
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in [0, 1] as percent; "-" where it is undefined."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def millions(value: float | None, digits: int = 1) -> str:
    """Return a number in millions; "-" where it is unknown or 0."""
    return f"{value / 1e6:.{digits}f}" if value else "-"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits behind the point; "-" where it is undefined."""
    return "-" if value is None else f"{value:.{digits}f}"
