"""One job: its settings, and the folder that holds it until it is finished.

`out.parquet.parts` holds `images` (every path, each followed by NUL), `job.json` (the settings; without it the job has
not started), `part-N.parquet` (a finished chunk) and `trace-N` (a chunk in progress).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import mien
from mien.core import plugins
from mien.core.whole_file import SUFFIX, write_json
from mien.inference.archive.errors import ArchiveError
from mien.inference.archive.listing import find_images, no_images, root_of
from mien.inference.detectors.registry import AUTO, split_spec
from mien.inference.model import model_files
from mien.inference.recognizer import Recognizer

FORMAT = 2
# Images that a killed worker may lose: about a second of work.
LARGEST_CHUNK = {"none": 1024}
LARGEST_CHUNK_WITH_DETECTOR = 128
SMALLEST_CHUNK = 32
CHUNKS_PER_WORKER = 8
LOCK = "lock"
OWN_NAMES = ("job.json*", "images*", "part-*.parquet*", "trace-*")


@dataclass(frozen=True)
class ArchiveSettings:
    """How an archive is annotated.

    Attributes:
        model: A model's name or an .onnx file.
        detector: `auto`, `yunet`, `haar`, `none` (each image is one face) or a plug-in's name; `NAME:FILE` with a model
            file.
        use_rejection: Drop boxes that the network rejects as non-faces.
        workers: Processes with one thread each. None: one; with Ray, one per core of the cluster.
        chunk: Images per chunk. None: from the number of images.
    """

    model: str = "default"
    detector: str = AUTO
    use_rejection: bool = True
    workers: int | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ArchiveError(f"{name} is {value}; expected at least 1.")


@dataclass(frozen=True)
class Job:
    """A job; it is sent to worker processes.

    `description` is the metadata of the Parquet file; together with `source` it decides whether a job may be continued.
    The paths of the `total` images are relative to `root`; `starts` are the positions of the chunks in the file
    `images`, in bytes. Workers execute the files in `plugins`.
    """

    parts: Path
    root: str
    source: str
    model: str
    detector: str
    labels: tuple[str, ...]
    description: dict[str, Any]
    plugins: tuple[str, ...] = ()
    chunk: int = 0
    total: int = 0
    starts: tuple[int, ...] = field(default=(), repr=False)

    def part(self, number: int) -> Path:
        """Return the path of a finished chunk's rows."""
        return self.parts / f"part-{number:07}.parquet"

    def trace(self, number: int) -> Path:
        """Return the path of a chunk's trace, in which its worker notes the current image."""
        return self.parts / f"trace-{number:07}"

    def size(self, number: int) -> int:
        """Return how many images a chunk has."""
        return min(self.chunk, self.total - number * self.chunk)

    def paths(self, number: int) -> list[bytes]:
        """Return the images of a chunk, relative to `root`."""
        with (self.parts / "images").open("rb") as file:
            file.seek(self.starts[number])
            end = self.starts[number + 1] if number + 1 < len(self.starts) else None
            data = file.read() if end is None else file.read(end - self.starts[number])
        return data.split(b"\0")[:-1]

    def recognizer(self) -> Recognizer:
        """Load the plug-in files, the network and the detector, with one thread each."""
        import cv2

        cv2.setNumThreads(0)
        for path in self.plugins:
            plugins.run_plugin_file(Path(path))
        return Recognizer(self.model, self.detector, use_rejection=self.description["use_rejection"])


def plan(source: Path, out: Path, settings: ArchiveSettings) -> Job:
    """Load model and detector once, so that errors show before anything is written, and describe the job."""
    recognizer = Recognizer(settings.model, settings.detector, use_rejection=settings.use_rejection)
    card = recognizer.card
    detector, weights_file = split_spec(settings.detector)
    if detector == AUTO:
        detector = recognizer.detector.name
    weights: Path | None = getattr(recognizer.detector, "weights", Path(weights_file) if weights_file else None)
    known = model_files()
    file = known.get(settings.model, Path(settings.model))
    description = {
        "format": FORMAT,
        "mien": mien.__version__,
        "model": card.name,
        "network": card.network,
        "model_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "labels": list(card.labels.names),
        "detector": detector,
        "detector_sha256": None if weights is None else hashlib.sha256(weights.read_bytes()).hexdigest(),
        "use_rejection": settings.use_rejection,
    }
    return Job(
        parts=out.with_name(out.name + ".parts").absolute(),
        root=str(root_of(source)),
        source=str(source.resolve()),
        model=settings.model if settings.model in known else str(Path(settings.model).absolute()),
        detector=detector if weights is None else f"{detector}:{weights.absolute()}",
        labels=card.labels.names,
        description=description,
        plugins=tuple(map(str, plugins.plugin_files)),
    )


def begin(job: Job, source: Path, settings: ArchiveSettings, workers: int, found: Callable[[int], None]) -> Job:
    """List the images of a new job, or continue one with the same settings.

    `ArchiveError`: there are no images, the job has other settings, or the folder holds other files.
    """
    record, images = job.parts / "job.json", job.parts / "images"
    if not record.exists():
        clear(job)
        foreign = next((path for path in job.parts.iterdir() if path.name != LOCK), None)
        if foreign is not None:
            raise ArchiveError(f"{job.parts} holds {foreign.name}, which is not ours; name another output.")
        total = _write_list(find_images(source), images, found)
        if total == 0:
            clear(job)
            raise no_images(source)
        chunk = settings.chunk or _chunk_size(total, workers, job.description["detector"])
        write_json(record, {"source": job.source, "description": job.description, "chunk": chunk, "total": total})
    content = _read_record(record)
    _check_same(job, content)
    for leftover in [*job.parts.glob("trace-*"), *job.parts.glob(f"*{SUFFIX}")]:
        leftover.unlink(missing_ok=True)
    chunk = int(content["chunk"])
    starts = tuple(_chunk_starts(images, chunk))
    return dataclasses.replace(job, chunk=chunk, total=int(content["total"]), starts=starts)


@contextlib.contextmanager
def lock(job: Job) -> Iterator[None]:
    """Create the job's folder and lock it against other processes, if the system can lock files.

    On leaving, an empty folder is removed.
    """
    job.parts.mkdir(parents=True, exist_ok=True)
    path = job.parts / LOCK
    with path.open("ab") as file:
        if importlib.util.find_spec("fcntl") is not None:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArchiveError(f"Another process uses {job.parts}; wait for it, or name another output.") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                job.parts.rmdir()


def clear(job: Job) -> None:
    """Remove the job's own files."""
    for pattern in OWN_NAMES:
        for path in job.parts.glob(pattern):
            path.unlink(missing_ok=True)


def _write_list(paths: Iterable[bytes], path: Path, found: Callable[[int], None]) -> int:
    total = 0
    paths = iter(paths)
    with path.open("wb") as file:
        while block := list(islice(paths, 1000)):
            file.write(b"\0".join(block) + b"\0")
            total += len(block)
            found(total)
    return total


def _chunk_starts(path: Path, chunk: int) -> Iterator[int]:
    with path.open("rb") as file:
        position = 0
        yield 0
        for count, name in enumerate(_names(file), start=1):
            position += len(name) + 1
            if count % chunk == 0 and position < os.fstat(file.fileno()).st_size:
                yield position


def _names(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := file.read(2**20):
        *names, rest = (rest + block).split(b"\0")
        yield from names


def _chunk_size(total: int, workers: int, detector: str) -> int:
    largest = LARGEST_CHUNK.get(detector, LARGEST_CHUNK_WITH_DETECTOR)
    return min(max(total // (workers * CHUNKS_PER_WORKER), SMALLEST_CHUNK), largest)


def _read_record(record: Path) -> dict[str, Any]:
    try:
        content = json.loads(record.read_bytes())
        content["description"]["labels"], content["source"], int(content["chunk"]), int(content["total"])
    except (ValueError, KeyError, TypeError):
        raise ArchiveError(f"{record} is not a job's record; remove {record.parent} to start again.") from None
    return dict(content)


def _check_same(job: Job, content: dict[str, Any]) -> None:
    then = {"input": content["source"], **content["description"]}
    for name, value in {"input": job.source, **job.description}.items():
        if then.get(name) != value:
            raise ArchiveError(
                f"{job.parts} holds a job with {name} {then.get(name)}, but now it is {value}; use the same settings "
                "to continue it, remove the folder to start again, or name another output."
            )
