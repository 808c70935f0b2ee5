"""Results as text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from mien.core.errors import MienError, did_you_mean
from mien.core.serialization import table_columns, table_rows
from mien.core.text import count, percent, printable
from mien.core.types import ImageResult

WIDTH_OF_A_PIPE = 200  # it has none of its own; no cell is cut there


def write_results(format: str, results: Iterable[ImageResult], labels: Sequence[str], out: TextIO) -> None:
    """Write results one by one as they come; a table, after the last of them.

    Args:
        format: `table`, `json` (one object per line and image) or `csv` (one row per face).
        results: The results.
        labels: The model's labels.
        out: The text file to write to.

    Raises:
        MienError: The format is unknown.
    """
    if format not in WRITERS:
        raise MienError(f"No format named '{format}'.{did_you_mean(format, WRITERS)} Formats: {', '.join(WRITERS)}.")
    WRITERS[format](results, labels, out)


def _write_json(results: Iterable[ImageResult], _: Sequence[str], out: TextIO) -> None:
    for result in results:
        print(json.dumps(result.to_json()), file=out, flush=True)


def _write_csv(results: Iterable[ImageResult], labels: Sequence[str], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table_columns(labels))
    for result in results:
        writer.writerows(table_rows({**result.to_json(), "source": printable(result.source)}, labels))


def _write_table(results: Iterable[ImageResult], _: Sequence[str], out: TextIO) -> None:
    """Write a table, and below it how often each expression appears, per image and in all."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, width=None if out.isatty() else WIDTH_OF_A_PIPE, highlight=False)
    table = Table("source", "face", "box (x, y, w, h)", "apparent expression", "probability")
    results = list(results)
    for result in results:
        for number, face in enumerate(result.faces, start=1):
            box = ", ".join(map(str, face.box.rounded()))
            table.add_row(Text(printable(result.source)), str(number), box, face.label, percent(face.confidence, 1))
    if table.row_count:
        console.print(table)
    lines = [f"{printable(result.source)}: {_describe(result)}" for result in results]
    if len(results) > 1 and table.row_count:
        lines.append(f"Total of {len(results)} images:  {_expressions(results)}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


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


WRITERS: dict[str, Callable[[Iterable[ImageResult], Sequence[str], TextIO], None]] = {
    "table": _write_table,
    "json": _write_json,
    "csv": _write_csv,
}
