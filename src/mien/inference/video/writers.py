"""Results of videos as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from mien.core.serialization import table_columns, table_rows
from mien.core.text import printable
from mien.core.types import FrameResult
from mien.inference.video.summary import VideoSummary

LONGEST_TABLE = 50


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
    """A header, then one row per face and frame; `seen` is 0 where a face is hidden and its box a guess."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._out = out
        self._labels = labels
        self._write([table_columns(labels, is_video=True)])

    def write(self, source: str, result: FrameResult) -> None:
        """Write one row per face; a frame without faces has none."""
        content = {"source": printable(source), **result.to_json()}
        self._write(table_rows(content, self._labels, is_video=True))

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


def _most_first(shares: Mapping[str, float]) -> str:
    """List shares that are not zero, largest first."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {share:.0%}" for label, share in ordered if share >= 0.005)
