"""Results as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TextIO

from mien.core.errors import MienError, did_you_mean
from mien.core.serialization import table_columns, table_rows
from mien.core.text import count, percent, printable
from mien.core.types import ImageResult

FORMATS = ("table", "json", "csv")
WIDTH_OF_A_PIPE = 200  # it has none of its own; no cell is cut there


class Writer(Protocol):
    """Writes results one by one."""

    def write(self, result: ImageResult) -> None:
        """Write one image's result."""
        ...

    def finish(self) -> None:
        """Write what comes after all results."""
        ...


class JsonWriter:
    """One JSON object per line and image: `ImageResult.to_json`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, result: ImageResult) -> None:
        """Write one line, at once."""
        print(json.dumps(result.to_json()), file=self._out, flush=True)

    def finish(self) -> None:
        """Do nothing: every line is complete."""


class CsvWriter:
    """A header, then one row per face: see `mien.core.serialization`."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._labels = labels
        self._rows = csv.writer(out, lineterminator="\n")
        self._rows.writerow(table_columns(labels))

    def write(self, result: ImageResult) -> None:
        """Write one row per face; an image without faces has none."""
        content = {**result.to_json(), "source": printable(result.source)}
        self._rows.writerows(table_rows(content, self._labels))

    def finish(self) -> None:
        """Do nothing: every row is complete."""


class TableWriter:
    """A table for people, and below it how often each expression appears, per image and in all."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._results: list[ImageResult] = []

    def write(self, result: ImageResult) -> None:
        """Keep a result for the table."""
        self._results.append(result)

    def finish(self) -> None:
        """Print the table and the summary."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=self._out, width=None if self._out.isatty() else WIDTH_OF_A_PIPE, highlight=False)
        table = Table("source", "face", "box (x, y, w, h)", "apparent expression", "probability")
        for result in self._results:
            for number, face in enumerate(result.faces, start=1):
                box = ", ".join(map(str, face.box.rounded()))
                table.add_row(Text(printable(result.source)), str(number), box, face.label, percent(face.confidence, 1))
        if table.row_count:
            console.print(table)
        for line in self._summary():
            console.print(Text(line), soft_wrap=True)

    def _summary(self) -> list[str]:
        lines = [f"{printable(result.source)}: {_describe(result)}" for result in self._results]
        if len(self._results) > 1 and any(result.faces for result in self._results):
            lines.append(f"All {len(self._results)} images: {_expressions(self._results)}")
        return lines


def create_writer(name: str, labels: Sequence[str], out: TextIO | None = None) -> Writer:
    """Make the writer of a format: `table`, `json` or `csv`, to standard output unless `out` is given.

    Raises:
        MienError: The name is unknown.
    """
    out = out or sys.stdout
    if name == "json":
        return JsonWriter(out)
    if name == "csv":
        return CsvWriter(out, labels)
    if name == "table":
        return TableWriter(out)
    raise MienError(f"No format named '{name}'.{did_you_mean(name, FORMATS)} Formats: {', '.join(FORMATS)}.")


def _describe(result: ImageResult) -> str:
    if result.faces:
        return _expressions([result])
    if not result.rejected:
        return "No faces detected"
    return f"No faces detected ({count(result.rejected, 'box', 'boxes')} rejected as non-faces; see --keep-all)"


def _expressions(results: Sequence[ImageResult]) -> str:
    """Say how many faces show which expression, most frequent first."""
    counts = Counter(face.label for result in results for face in result.faces)
    total = counts.total()
    shares = ", ".join(f"{label} {percent(n / total)} ({n} of {total})" for label, n in counts.most_common())
    return f"{count(total, 'face')}. Expressions: {shares}"
