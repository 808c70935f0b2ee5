"""Tables and numbers of the generated pages, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap


def make_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table and an empty line; cells are escaped."""
    lines = [[escape(cell) for cell in line] for line in (header, *rows)]
    lines.insert(1, ["---"] * len(header))
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def make_page(lines: Iterable[str]) -> str:
    """Return a page's text, which ends with one line break."""
    return "\n".join(lines).rstrip() + "\n"


def make_paragraph(*parts: str) -> list[str]:
    """Return the lines of a paragraph, at most 120 characters wide, and an empty line."""
    return [*wrap(" ".join(parts), 120, break_long_words=False, break_on_hyphens=False), ""]


def escape(text: str) -> str:
    """Return text for a table cell: one line, without column marks or tags."""
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share in [0, 1] as percent; "-" if it is None."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def millions(value: float | None) -> str:
    """Return a number in millions; "-" if it is unknown or 0."""
    return f"{value / 1e6:.1f}" if value else "-"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with this many decimals; "-" if it is None."""
    return "-" if value is None else f"{value:.{digits}f}"
