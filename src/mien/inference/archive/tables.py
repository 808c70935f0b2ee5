"""The rows of a chunk, its Parquet file, and the table that all of them are joined to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.core.errors import ArchiveError
from mien.core.serialization import table_columns, table_rows
from mien.core.types import UNSURE
from mien.core.whole_file import whole_file
from mien.inference.archive.job import Job
from mien.inference.results import ImageResult
from mien.inference.sources import Skipped

METADATA_KEY = b"mien"
ROW_GROUP = 100_000
LONGEST_REASON = 500
SEVERAL, ERROR = "has_several_frames", "error"  # the last columns of a part; the finished table has neither


@dataclass
class Summary:
    """An archive in numbers.

    Images that could be read, those without a face, those of which only the first of several frames or pages was used;
    bad files, files that are no images, and what faces count as.
    """

    images: int = 0
    without_face: int = 0
    several: int = 0
    bad: int = 0
    skipped: Skipped = field(default_factory=Skipped)
    words: Counter[str] = field(default_factory=Counter)

    @property
    def faces(self) -> int:
        """The number of faces."""
        return self.words.total()


def rows_of(result: ImageResult, error: str = "") -> list[dict[str, Any]]:
    """Return one row per face, one with face 0 for an image without faces, or one for a file with an error."""
    if error:
        return [{"source": result.source, ERROR: error[:LONGEST_REASON]}]
    content = result.to_json()
    columns = table_columns(result.labels)
    rows = [dict(zip(columns, row, strict=True)) for row in table_rows(content, result.labels)]
    return [{**row, SEVERAL: result.frames > 1} for row in rows]


def write_part(rows: list[dict[str, Any]], labels: Sequence[str], path: Path) -> None:
    """Write a finished chunk completely or not at all; two processes may do so at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with whole_file(path, is_contested=True) as file:
        pq.write_table(pa.Table.from_pylist(rows, _part_schema(labels)), file)


def join_parts(job: Job, out: Path, bad: Path) -> Summary:
    """Join a finished job's parts to a Parquet file of faces and a list of bad files (JSON lines).

    Raises:
        ArchiveError: A part is damaged, or the parts do not hold each image once.
        OSError: The disk is full, or a file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    summary = Summary(skipped=Skipped(job.skipped))
    part = _part_schema(job.description["labels"])
    schema = pa.schema(list(part)[:-2], {METADATA_KEY: json.dumps(job.description).encode()})
    with whole_file(out) as table_file, whole_file(bad) as bad_file:
        with pq.ParquetWriter(table_file, schema, compression="zstd") as writer:
            for table in _row_groups(job):
                for row in table.filter(table[ERROR].is_valid()).to_pylist():
                    line = json.dumps({"source": row["source"], "reason": row[ERROR]})
                    bad_file.write(line.encode() + b"\n")
                faces = table.filter(table[ERROR].is_null())
                _count(faces, summary)
                summary.bad += table.num_rows - faces.num_rows
                writer.write_table(faces.select(schema.names).cast(schema), row_group_size=ROW_GROUP)
        if summary.images + summary.bad != job.total:
            raise ArchiveError(
                f"{job.parts} holds {summary.images + summary.bad} of {job.total} images; remove it to start again."
            )
    pa.default_memory_pool().release_unused()
    return summary


def _row_groups(job: Job) -> Iterator[Any]:
    """Read the parts one by one, and yield their rows in tables of at least one row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: list[Any] = []
    for number in range(len(job.starts)):
        try:
            tables.append(pq.read_table(job.part(number), use_threads=False, partitioning=None))
        except pa.ArrowInvalid as error:
            raise ArchiveError(f"{job.part(number)} is damaged ({error}); remove it and rerun.") from None
        if sum(table.num_rows for table in tables) >= ROW_GROUP:
            yield pa.concat_tables(tables)
            tables = []
    if tables:
        yield pa.concat_tables(tables)


def _count(faces: Any, summary: Summary) -> None:
    numbers = faces["face"].to_numpy()
    summary.images += int((numbers <= 1).sum())
    summary.without_face += int((numbers == 0).sum())
    summary.several += int((faces[SEVERAL].to_numpy() & (numbers <= 1)).sum())
    unsure = faces["unsure"].to_numpy() == 1  # without a face there is neither a label nor this
    summary.words += Counter({UNSURE: int(unsure.sum())})  # without an entry of 0
    for row in faces["label"].filter(~unsure).drop_null().value_counts().to_pylist():
        summary.words[row["values"]] += row["counts"]


def _part_schema(labels: Sequence[str]) -> Any:
    import pyarrow as pa

    kinds = dict.fromkeys(("source", "label", ERROR), pa.string())
    kinds |= dict.fromkeys(("image_width", "image_height", "face", "unsure"), pa.int32())
    kinds[SEVERAL] = pa.bool_()
    return pa.schema([(name, kinds.get(name, pa.float32())) for name in (*table_columns(labels), SEVERAL, ERROR)])
