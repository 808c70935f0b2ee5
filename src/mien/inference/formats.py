"""Results as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TextIO

from mien.core.errors import MienError, did_you_mean
from mien.core.types import ImageResult

FORMATS = ("table", "json", "csv")


class Writer(Protocol):
    """Takes results one by one, and is told when there are no more."""

    def write(self, result: ImageResult) -> None:
        """Take one picture's result."""
        ...

    def finish(self) -> None:
        """Write what stands at the end."""
        ...


class JsonWriter:
    """One object a line and picture: `ImageResult.to_json`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, result: ImageResult) -> None:
        """Write one line, at once."""
        print(json.dumps(result.to_json()), file=self._out, flush=True)

    def finish(self) -> None:
        """Write nothing: every line stands for itself."""


class CsvWriter:
    """A header, then one row a face: its picture, number, box in pixels, label, and a probability a label."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._labels = labels
        self._rows = csv.writer(out, lineterminator="\n")
        self._rows.writerow(["source", "face", "x", "y", "width", "height", "score", "label", *labels])

    def write(self, result: ImageResult) -> None:
        """Write a row a face; a picture without faces has none."""
        for number, face in enumerate(result.faces, start=1):
            chances = [f"{face.probabilities[label]:.6f}" for label in self._labels]
            box = face.box.rounded()
            source = printable(result.source)
            self._rows.writerow([source, number, *box, f"{face.score:.4f}", face.label, *chances])

    def finish(self) -> None:
        """Write nothing: a CSV file has no foot."""


class TableWriter:
    """A table for people, with each picture's and everybody's share of expressions below it."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._out = out
        self._labels = labels
        self._results: list[ImageResult] = []

    def write(self, result: ImageResult) -> None:
        """Keep a result for the table."""
        self._results.append(result)

    def finish(self) -> None:
        """Print the table and the shares."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        # A pipe has no width: let no cell be cut there.
        console = Console(file=self._out, width=None if self._out.isatty() else 200, highlight=False)
        table = Table("source", "face", "box (x, y, w, h)", "apparent expression", "probability")
        for result in self._results:
            for number, face in enumerate(result.faces, start=1):
                box = ", ".join(map(str, face.box.rounded()))
                chance = f"{face.confidence:.1%}"
                table.add_row(Text(printable(result.source)), str(number), box, face.label, chance)
        if table.row_count:
            console.print(table)
        for line in self._summary():
            console.print(Text(line), soft_wrap=True)

    def _summary(self) -> list[str]:
        lines = []
        for result in self._results:
            told = f"no face found{_rejected(result)}" if not result.faces else self._shares([result])
            lines.append(f"{printable(result.source)}: {told}")
        if len(self._results) > 1 and any(result.faces for result in self._results):
            lines.append(f"all {len(self._results)} pictures: {self._shares(self._results)}")
        return lines

    def _shares(self, results: Sequence[ImageResult]) -> str:
        """Say how many people show what, most frequent first."""
        counts = Counter(face.label for result in results for face in result.faces)
        total = counts.total()
        shares = [f"{label} {count / total:.0%}" for label, count in counts.most_common()]
        return f"{total} {'face' if total == 1 else 'faces'}, share of people showing: {', '.join(shares)}"


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
        return TableWriter(out, labels)
    raise MienError(f"No format named '{name}'.{did_you_mean(name, FORMATS)} Formats: {', '.join(FORMATS)}.")


def printable(text: str) -> str:
    """Return text that any output can encode: what is not UTF-8 in a file name becomes question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _rejected(result: ImageResult) -> str:
    if not result.rejected:
        return ""
    boxes = "1 box was" if result.rejected == 1 else f"{result.rejected} boxes were"
    return f" ({boxes} taken for no face; --keep-all shows them)"
