"""The tables that `mien train-all` and `mien experiment` print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_runs(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a compact table; the first column is folded if the terminal is narrow, the others never."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    columns = (Column(heading, no_wrap=True) for heading in headings[1:])
    table = Table(Column(headings[0], overflow="fold"), *columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)
