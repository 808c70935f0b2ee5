"""Results as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TextIO

from mien.core.serialization import table_columns, table_rows
from mien.core.text import count, percent, printable
from mien.core.types import ImageResult

WIDTH_OF_A_PIPE = 200  # it has none of its own; no cell is cut there


def write_results(
    format: str, results: Iterable[ImageResult], labels: Sequence[str], out: TextIO, *, has_frames: bool = False
) -> None:
    """Write results one by one as they come; a table, after the last of them.

    Args:
        format: `table`, `json` (one object per line and image) or `csv` (one row per face, or one with face 0).
        results: The results.
        labels: The model's labels.
        out: The text file to write to.
        has_frames: Whether CSV has a column for the frame of an animation or the page of a document.
    """
    if format == "table":
        _write_table(list(results), out)
    elif format == "json":
        for result in results:
            print(json.dumps(result.to_json()), file=out, flush=True)
    else:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(table_columns(labels, has_frames=has_frames))
        for result in results:
            content = {**result.to_json(), "source": printable(result.source)}
            writer.writerows(table_rows(content, labels, has_frames=has_frames))


def _write_table(results: Sequence[ImageResult], out: TextIO) -> None:
    """Write a table, and below it how often each expression appears, per image and in all."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, width=None if out.isatty() else WIDTH_OF_A_PIPE, highlight=False)
    table = Table("source", "face", "box (x, y, w, h)", "apparent expression", "probability")
    for result in results:
        for number, face in enumerate(result.faces, start=1):
            box = ", ".join(map(str, face.box.rounded()))
            table.add_row(Text(_name(result)), str(number), box, face.wording, percent(face.confidence, 1))
    if table.row_count:
        console.print(table)
    lines = [f"{_name(result)}: {_expressions([result])}" for result in results]
    if len(results) > 1 and table.row_count:
        lines.append(f"Total of {len(results)} images: {_expressions(results)}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _name(result: ImageResult) -> str:
    frame = f", frame {result.frame + 1} of {result.frames}" if result.frames > 1 else ""
    return f"{printable(result.source)}{frame}"


def _expressions(results: Sequence[ImageResult]) -> str:
    """Say how many faces show which expression, most frequent first."""
    counts = Counter(face.counts_as for result in results for face in result.faces)
    total = counts.total()
    if not total:
        rejected = sum(result.rejected for result in results)
        note = f" ({count(rejected, 'box', 'boxes')} rejected as non-faces; see --keep-all)" if rejected else ""
        return f"No faces detected{note}"
    shares = ", ".join(f"{label} {percent(n / total)} ({n} of {total})" for label, n in counts.most_common())
    return f"{count(total, 'face')}. Expressions: {shares}"
