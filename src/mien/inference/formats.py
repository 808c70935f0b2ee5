"""Results of images as lines of text: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mien.core.serialization import table_columns, table_rows
from mien.core.text import count, percent, printable
from mien.core.types import UNSURE
from mien.inference.results import ImageResult

BOX = "x, y, w, h"


def result_lines(
    format: str, results: Iterable[ImageResult], labels: Sequence[str], *, has_frames: bool = False
) -> Iterator[str]:
    """Yield lines, each as soon as the result it shows.

    Args:
        format: `table` (one line per face, then a total), `json` (one object per image) or `csv` (one row per face, or
            one with face 0).
        results: The results.
        labels: The model's labels.
        has_frames: Whether CSV has a column for the frame of an animation or the page of a document.
    """
    if format == "table":
        yield from _table(results, labels)
    elif format == "json":
        yield from (json.dumps(result.to_json()) for result in results)
    else:
        yield _csv(table_columns(labels, has_frames=has_frames))
        for result in results:
            content = {**result.to_json(), "source": printable(result.source)}
            yield from map(_csv, table_rows(content, labels, has_frames=has_frames))


def _csv(row: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _table(results: Iterable[ImageResult], labels: Sequence[str]) -> Iterator[str]:
    """Yield a table whose last column is the source, so that no name is cut, and how often each expression appears."""
    words = len(f"{UNSURE} ({max(labels, key=len, default='')}?)")

    def row(number: str, word: str, share: str, box: str, source: str) -> str:
        return f"{number:>4}  {word:<{words}}  {share:>11}  {box:<19}  {source}".rstrip()

    total = _Total()
    for result in results:
        if not total.images:
            yield row("face", "appears", "probability", f"box: {BOX}", "image")
        total.add(result)
        for number, face in enumerate(result.faces, start=1):
            box = ", ".join(map(str, face.box.rounded()))
            yield row(str(number), face.wording, percent(face.confidence, 1), box, result.name)
        if not result.faces:
            yield row("-", "no face", "", "", result.name)
    if total.images:
        yield ""
        yield total.describe()


class _Total:
    """What the images of a table show together."""

    def __init__(self) -> None:
        self.images = self.without_face = self.rejected = 0
        self.words: Counter[str] = Counter()

    def add(self, result: ImageResult) -> None:
        """Count an image."""
        self.images += 1
        self.without_face += not result.faces
        self.rejected += result.rejected
        self.words.update(face.counts_as for face in result.faces)

    def describe(self) -> str:
        """Say how many faces show which expression, most frequent first."""
        faces, images = self.words.total(), count(self.images, "image")
        if not faces:
            note = f" ({count(self.rejected, 'box', 'boxes')} rejected as non-faces; see --keep-all)"
            return f"{images}. No faces detected{note * bool(self.rejected)}"
        without = f" ({self.without_face:,} without a face)" if self.without_face else ""
        shares = ", ".join(f"{word} {percent(n / faces)} ({n:,} of {faces:,})" for word, n in self.words.most_common())
        return f"{images}{without}, {count(faces, 'face')}. Expressions: {shares}"
