"""Results as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from mien.core.errors import MienError, did_you_mean
from mien.core.types import FrameResult, ImageResult

if TYPE_CHECKING:
    from mien.inference.summary import VideoSummary

FORMATS = ("table", "json", "csv")
LONGEST_TABLE = 50


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


class FrameWriter(Protocol):
    """Takes the results of a video's frames, in order."""

    def write(self, source: str, result: FrameResult) -> None:
        """Take one frame's result; what is written at once are whole lines."""
        ...


class FrameJsonWriter:
    """One object a line and frame: the source, and `FrameResult.to_json`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, source: str, result: FrameResult) -> None:
        """Write one line, at once."""
        self._out.write(json.dumps({"source": source, **result.to_json()}) + "\n")
        self._out.flush()


class FrameCsvWriter:
    """A header, then one row a face and frame; `seen` is 0 where a face is hidden and its box a guess."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._out = out
        self._labels = labels
        box = ["x", "y", "width", "height"]
        self._write([["source", "frame", "time", "track", "seen", *box, "score", "label", *labels]])

    def write(self, source: str, result: FrameResult) -> None:
        """Write a row a face; a frame without faces has none."""
        rows = []
        for face in result.faces:
            chances = [f"{face.probabilities[label]:.6f}" for label in self._labels]
            place = [printable(source), result.index, f"{result.time:.4f}", face.track, int(face.is_seen)]
            rows.append([*place, *face.box.rounded(), f"{face.score:.4f}", face.label, *chances])
        self._write(rows)

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows(rows)
        self._out.write(lines.getvalue())
        self._out.flush()


def create_frame_writer(name: str, labels: Sequence[str], out: TextIO) -> FrameWriter:
    """Make the writer of a video's frames, as `json` or `csv`."""
    return FrameJsonWriter(out) if name == "json" else FrameCsvWriter(out, labels)


def print_summary(source: str, summary: VideoSummary, out: TextIO) -> None:
    """Print the people of a video as a table, and the shares and the flicker below it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, width=None if out.isatty() else 200, highlight=False)
    people = summary.longest(LONGEST_TABLE)
    table = Table("person", "from", "to", "seen", "apparent expressions, share of time")
    for course in people:
        seconds = course.seconds
        shares = dict(zip(summary.labels, (seconds / seconds.sum()).tolist(), strict=True))
        times = [f"{value:.1f} s" for value in (course.first, course.last, float(seconds.sum()))]
        table.add_row(f"#{course.track}", *times, _most_first(shares))
    if people:
        console.print(table)
    for line in summarize(source, summary):
        console.print(Text(line), soft_wrap=True)


def summarize(source: str, summary: VideoSummary) -> list[str]:
    """Say in a few lines what a video shows."""
    total = summary.people.total()
    dropped = f", {summary.dropped:,} dropped" if summary.dropped else ""
    head = f"{printable(source)}: {summary.frames:,} frames{dropped}, {summary.seconds:.1f} s"
    if not total:
        return [f"{head}, no face found"]
    flicker = summary.flicker()
    return [
        f"{head}, {total:,} {'person' if total == 1 else 'people'}",
        f"share of people, by what each shows longest: {_most_first(summary.share_of_people())}",
        f"share of time: {_most_first(summary.share_of_time())}",
        f"label changes a second: {flicker['raw']:.2f}, after smoothing {flicker['smoothed']:.2f}",
    ]


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


def _most_first(shares: Mapping[str, float]) -> str:
    """List shares that are not zero, largest first."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {share:.0%}" for label, share in ordered if share >= 0.005)


def _rejected(result: ImageResult) -> str:
    if not result.rejected:
        return ""
    boxes = "1 box was" if result.rejected == 1 else f"{result.rejected} boxes were"
    return f" ({boxes} taken for no face; --keep-all shows them)"
