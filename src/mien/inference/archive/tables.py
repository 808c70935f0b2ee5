"""Rows, column by column, the finished parts, and the one table that they become."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.types import Detection
from mien.core.whole_file import whole_file
from mien.inference.archive.errors import ArchiveError
from mien.inference.archive.job import Job
from mien.inference.archive.listing import readable

METADATA_KEY = b"mien"
ROW_GROUP = 100_000
LONGEST_REASON = 500
BEFORE_LABELS = ("path", "width", "height", "face", "x", "y", "box_width", "box_height", "score", "label", "confidence")
FIRST_FLOAT = 8  # of BEFORE_LABELS
ERROR = "error"
NO_SIZE = (None, None, None)  # nor a face's number
NO_FACE = (None,) * 7


@dataclass(frozen=True)
class Seen:
    """A picture that has been looked at: its size (width, height) and faces, or why there are none to tell of."""

    path: bytes
    size: tuple[int, int] = (0, 0)
    faces: tuple[Detection, ...] = ()
    reason: str = ""


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
    """The rows of a chunk: one a face, one with face 0 and nothing else for a picture without, one for a bad file."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._columns: dict[str, list[Any]] = {name: [] for name in (*BEFORE_LABELS, ERROR)}
        self._probabilities: list[NDArray[np.float32]] = []

    def add(self, seen: Sequence[Seen], probabilities: NDArray[np.float32], is_kept: Sequence[bool]) -> None:
        """Add pictures in their order.

        Args:
            seen: The pictures, with n faces in all.
            probabilities: (n, labels), face by face.
            is_kept: n times, whether it is a face after all.
        """
        best = probabilities.argmax(axis=1).tolist()
        confidences = probabilities.max(axis=1).tolist()
        sources: list[int] = []  # of each row's probabilities; -1 is a row of NaN
        first = 0
        for picture in seen:
            kept = [i for i in range(len(picture.faces)) if is_kept[first + i]]
            name = readable(picture.path)
            if picture.reason:
                self._append(name, *NO_SIZE, *NO_FACE, picture.reason[:LONGEST_REASON])
            elif not kept:
                self._append(name, *picture.size, 0, *NO_FACE, None)
            for number, i in enumerate(kept, start=1):
                face, row = picture.faces[i], first + i
                told = (*face.box.rounded(), face.score, self._labels[best[row]], confidences[row])
                self._append(name, *picture.size, number, *told, None)
            sources += [first + i for i in kept] or [-1]
            first += len(picture.faces)
        nothing = np.full((1, len(self._labels)), np.nan, dtype=np.float32)
        self._probabilities.append(np.concatenate([probabilities, nothing])[sources])

    def to_table(self) -> Any:
        """Return the rows as a `pyarrow.Table`, the column `error` last."""
        import pyarrow as pa

        schema = _part_schema(self._labels)
        chances = np.concatenate([np.empty((0, len(self._labels)), np.float32), *self._probabilities])
        columns = [pa.array(self._columns[name], schema.field(name).type) for name in BEFORE_LABELS]
        columns += [pa.array(chances[:, i], pa.float32(), from_pandas=True) for i in range(len(self._labels))]
        columns.append(pa.array(self._columns[ERROR], pa.string()))
        return pa.Table.from_arrays(columns, schema=schema)

    def _append(self, *values: Any) -> None:
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)


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
        bad: The list, JSON lines of `path` and `reason`; empty when there is nothing to tell.

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
            for row in table.filter(is_bad).select(["path", ERROR]).to_pylist():
                lines.write(json.dumps({"path": row["path"], "reason": row[ERROR]}) + "\n")
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

    kinds = {"path": pa.string(), "label": pa.string()}
    kinds |= {name: pa.float32() for name in BEFORE_LABELS[FIRST_FLOAT:] if name not in kinds}
    fields = [pa.field(name, kinds.get(name, pa.int32())) for name in BEFORE_LABELS]
    fields += [pa.field(name, pa.float32()) for name in labels]
    return pa.schema([*fields, pa.field(ERROR, pa.string())])
