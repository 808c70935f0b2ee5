"""Rows, column by column, the finished parts, and the one table that they become."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.core.serialization import table_columns, table_rows
from mien.core.types import ImageResult
from mien.core.whole_file import whole_file
from mien.inference.archive.errors import ArchiveError
from mien.inference.archive.job import Job

METADATA_KEY = b"mien"
ROW_GROUP = 100_000
LONGEST_REASON = 500
ERROR = "error"  # the last column of a part; the finished table has none


@dataclass(frozen=True)
class BadFile:
    """A file that could not be used, and why."""

    source: str
    reason: str


@dataclass
class Summary:
    """What an archive holds: pictures that could be read, those of them without a face, bad files, faces by label."""

    pictures: int = 0
    without_face: int = 0
    bad: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def faces(self) -> int:
        """The number of faces."""
        return self.labels.total()


class Rows:
    """The rows of a chunk: one per face; one with face 0 for an image without faces, and one for a bad file."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._rows: list[list[Any]] = []

    def add(self, result: ImageResult) -> None:
        """Add an image."""
        rows = table_rows(result.to_json(), self._labels)
        self._rows += [[*row, None] for row in rows] or [self._fill(result.source, result.width, result.height, 0)]

    def add_bad(self, bad: BadFile) -> None:
        """Add a file that could not be used."""
        row = self._fill(bad.source)
        row[-1] = bad.reason[:LONGEST_REASON]
        self._rows.append(row)

    def to_table(self) -> Any:
        """Return the rows as a `pyarrow.Table`, the column `error` last."""
        import pyarrow as pa

        schema = _part_schema(self._labels)
        columns = list(zip(*self._rows, strict=True)) or [()] * len(schema)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _fill(self, *values: Any) -> list[Any]:
        return [*values, *[None] * (len(table_columns(self._labels)) + 1 - len(values))]


def write_part(table: Any, path: Path) -> None:
    """Write a finished chunk whole or not at all; two processes may do so at a time."""
    import pyarrow.parquet as pq

    with whole_file(path, is_contested=True) as file:
        pq.write_table(table, file)


def is_whole(path: Path) -> bool:
    """Tell whether a part is there and can be read; a power failure may leave a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


def join_parts(job: Job, out: Path, bad: Path) -> Summary:
    """Join the parts, in the order of the pictures, to a table of faces and a list of bad files.

    Args:
        job: A job all of whose chunks are finished.
        out: The Parquet file; it takes its name when it is whole.
        bad: The list, JSON lines of `source` and `reason`; empty when there is nothing to tell.

    Raises:
        ArchiveError: The parts do not hold each picture once.
        OSError: No room, or a file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    summary = Summary()
    joined, joined_bad = job.parts / "joined", job.parts / "joined-bad"
    schema = _part_schema(job.labels)
    schema = schema.remove(len(schema) - 1).with_metadata({METADATA_KEY: json.dumps(job.description).encode()})
    with (
        pq.ParquetWriter(joined, schema, compression="zstd") as writer,
        joined_bad.open("w", encoding="utf-8") as lines,
    ):
        for table in _row_groups(job):
            is_bad = table[ERROR].is_valid()
            for row in table.filter(is_bad).select(["source", ERROR]).to_pylist():
                lines.write(json.dumps({"source": row["source"], "reason": row[ERROR]}) + "\n")
            faces = table.filter(table[ERROR].is_null()).drop_columns([ERROR])
            _count(faces, summary)
            summary.bad += table.num_rows - faces.num_rows
            writer.write_table(faces.cast(schema), row_group_size=ROW_GROUP)
    if summary.pictures + summary.bad != job.total:
        raise ArchiveError(
            f"{job.parts} holds {summary.pictures + summary.bad} of {job.total} pictures; remove it to begin anew."
        )
    for path in (joined, joined_bad):
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    joined_bad.replace(bad)
    joined.replace(out)
    pa.default_memory_pool().release_unused()
    return summary


def _row_groups(job: Job) -> Iterator[Any]:
    """Read the parts one by one, and yield as many rows at a time as make a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: list[Any] = []
    for number in range(len(job.starts)):
        with pq.ParquetFile(job.part(number)) as file:
            tables.append(file.read(use_threads=False))
        if sum(table.num_rows for table in tables) >= ROW_GROUP:
            yield pa.concat_tables(tables)
            tables = []
    if tables:
        yield pa.concat_tables(tables)


def _count(faces: Any, summary: Summary) -> None:
    numbers = faces["face"].to_numpy()
    summary.pictures += int((numbers <= 1).sum())
    summary.without_face += int((numbers == 0).sum())
    for row in faces["label"].drop_null().value_counts().to_pylist():
        summary.labels[row["values"]] += row["counts"]


def _part_schema(labels: Sequence[str]) -> Any:
    import pyarrow as pa

    kinds = dict.fromkeys(("source", "label"), pa.string())
    kinds |= dict.fromkeys(("image_width", "image_height", "face"), pa.int32())
    fields = [pa.field(name, kinds.get(name, pa.float32())) for name in table_columns(())]
    fields += [pa.field(name, pa.float32()) for name in labels]  # whatever a label is called
    return pa.schema([*fields, pa.field(ERROR, pa.string())])
