"""Results of videos as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mien.core.serialization import table_columns, table_rows
from mien.core.text import count, percent, printable
from mien.inference.results import FrameResult
from mien.inference.video.summary import VideoSummary

MAX_PEOPLE = 50  # in the table


def header_text(labels: Sequence[str]) -> str:
    """Return the first line of CSV; `labels` are the model's."""
    return _csv([table_columns(labels, is_video=True)])


def frame_text(format: str, source: str, result: FrameResult) -> str:
    """Return a frame's result in complete lines; see `mien.core.serialization`.

    `json` is one object. `csv` has one row per face, or one with `face` 0; `seen` is 0 for hidden faces, whose box is
    predicted.
    """
    content = {"source": printable(source), **result.to_json()}
    if format == "json":
        return json.dumps(content) + "\n"
    return _csv(table_rows(content, result.labels, is_video=True))


def print_summary(source: str, summary: VideoSummary) -> None:
    """Print the people in a video as a table, then `summarize`."""
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    table = Table("person", "from", "to", "seen", "apparent expressions by time")
    for track in summary.longest(MAX_PEOPLE):
        times = [f"{seconds:.1f} s" for seconds in (track.first, track.last, track.total)]
        table.add_row(f"#{track.track}", *times, _percentages(summary.share_of_time(track)))
    if table.row_count:
        console.print(table)
    for line in summarize(source, summary):
        console.print(Text(line), soft_wrap=True)


def summarize(source: str, summary: VideoSummary) -> list[str]:
    """Return a few lines that sum up a video."""
    people = summary.people
    total = people.total()
    dropped = f", {summary.dropped:,} dropped" if summary.dropped else ""
    head = f"{printable(source)}: {count(summary.frames, 'frame')}{dropped}, {summary.seconds:.1f} s"
    if not total:
        return [f"{head}. No faces detected"]
    raw, smoothed = summary.flicker.values()
    shares = ", ".join(f"{label} {percent(n / total)} ({n} of {total})" for label, n in people.most_common())
    return [
        f"{head}, {count(total, 'person', 'people')}. Expressions: {shares}",
        f"Expressions by time: {_percentages(summary.share_of_time())}",
        f"Label changes per second: {raw:.2f}, after smoothing {smoothed:.2f}",
    ]


def _percentages(shares: Mapping[str, float]) -> str:
    """List the shares that do not round to zero, largest first."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {percent(share)}" for label, share in ordered if share >= 0.005)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
