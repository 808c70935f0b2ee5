"""One job: its settings, and the folder that holds it until it is finished.

`out.parquet.parts` holds `images` (every path as a line of JSON), `job.json` (the settings; without it the job has not
started), `part-N.parquet` (a finished chunk) and `trace-N` (a chunk in progress).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import mien
from mien.core import plugins
from mien.core.errors import ArchiveError
from mien.core.paths import AnyPath
from mien.core.text import first_line
from mien.core.whole_file import SUFFIX, write_json
from mien.inference.archive.listing import find_images, no_images, root_of
from mien.inference.detectors.registry import AUTO, split_spec
from mien.inference.model import OnnxModel
from mien.inference.model_files import model_files, read_model
from mien.inference.recognizer import Recognizer
from mien.inference.sources import Skipped

try:
    import fcntl
except ModuleNotFoundError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 5
# Images that a killed worker may lose: about a second of work.
LARGEST_CHUNK = {"none": 1024}
LARGEST_CHUNK_WITH_DETECTOR = 128
SMALLEST_CHUNK = 32
CHUNKS_PER_WORKER = 8
LOCK = "lock"
OWN_NAMES = ("job.json*", "images", "part-*.parquet*", "trace-*")


@dataclass(frozen=True)
class ArchiveSettings:
    """How an archive is annotated.

    Attributes:
        model: A model's name or an .onnx file.
        detector: As in `create_detector`, in words: `auto`, `yunet`, `none`, `mien:FILE@40` ...
        use_rejection: Drop boxes that the network rejects as non-faces.
        workers: Processes with one thread each. None: one; with Ray, one per core of the cluster.
        chunk: Images per chunk. None: from the number of images.
        views: The views of each face, as in `Recognizer`.
    """

    model: AnyPath = "default"
    detector: AnyPath = AUTO
    use_rejection: bool = True
    workers: int | None = None
    chunk: int | None = None
    views: str = "one"

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
    `images`, in bytes. `skipped` counts files that are no images (see `Skipped`). Workers execute the files in
    `plugins`.
    """

    parts: Path
    root: str
    source: str
    model: str
    detector: str
    description: dict[str, Any]
    plugins: tuple[str, ...] = ()
    chunk: int = 0
    total: int = 0
    starts: tuple[int, ...] = field(default=(), repr=False)
    skipped: Counter[str] = field(default_factory=Counter, repr=False)

    def part(self, number: int) -> Path:
        """Return the path of a finished chunk's rows."""
        return self.parts / f"part-{number:07}.parquet"

    def trace(self, number: int) -> Path:
        """Return the path of a chunk's trace, in which its worker records the current image."""
        return self.parts / f"trace-{number:07}"

    def size(self, number: int) -> int:
        """Return how many images a chunk has."""
        return min(self.chunk, self.total - number * self.chunk)

    def paths(self, number: int) -> list[str]:
        """Return the images of a chunk, relative to `root`."""
        with (self.parts / "images").open("rb") as file:
            file.seek(self.starts[number])
            return [json.loads(line) for line in islice(file, self.chunk)]

    def recognizer(self) -> Recognizer:
        """Load the plug-in files, the network and the detector, with one thread each."""
        import cv2

        cv2.setNumThreads(0)
        for path in self.plugins:
            plugins.run_plugin_file(Path(path))
        wanted = {key: self.description[key] for key in ("use_rejection", "views")}
        return Recognizer(self.model, self.detector, **wanted)


def plan(source: Path, out: Path, settings: ArchiveSettings) -> Job:
    """Load model and detector once, so that errors show before anything is written, and describe the job."""
    content, model_name = read_model(settings.model)
    wanted: dict[str, Any] = {"use_rejection": settings.use_rejection, "views": settings.views}
    recognizer = Recognizer(OnnxModel(content, model_name), settings.detector, **wanted)
    card = recognizer.card
    name, file, smallest_face = split_spec(settings.detector)
    detector = recognizer.detector.name if name == AUTO else name
    weights: Path | None = getattr(recognizer.detector, "weights", Path(file) if file else None)
    content_hash = getattr(recognizer.detector, "sha256", None)
    if weights is not None:
        content_hash = hashlib.sha256(weights.read_bytes()).hexdigest()
    pixels = "" if smallest_face is None else f"@{smallest_face:.10g}"
    description = {
        "format": FORMAT,
        "mien": mien.__version__,
        "model": card.name,
        "network": card.network,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "labels": list(card.labels.names),
        "detector": detector + pixels,
        "detector_sha256": content_hash,
        **wanted,
    }
    return Job(
        parts=out.with_name(out.name + ".parts").absolute(),
        root=str(root_of(source)),
        source=str(source.resolve()),
        model=str(settings.model) if settings.model in model_files() else str(Path(settings.model).absolute()),
        detector=detector + (f":{weights.absolute()}" if weights else "") + pixels,
        description=description,
        plugins=tuple(map(str, plugins.plugin_files)),
    )


def begin(job: Job, source: Path, settings: ArchiveSettings, workers: int, found: Callable[[int], None]) -> Job:
    """List the images of a new job, or continue one with the same settings.

    `ArchiveError`: there are no images, the job has other settings, or the folder holds other files.
    """
    record, images = job.parts / "job.json", job.parts / "images"
    wanted = {"input": job.source, **job.description}
    if not record.exists():
        clear(job)
        foreign = next((path for path in job.parts.iterdir() if path.name != LOCK), None)
        if foreign is not None:
            raise ArchiveError(f"{job.parts} holds {foreign.name}, which is not part of a job; name another output.")
        total, skipped = 0, Skipped()
        with images.open("w", encoding="ascii") as file:
            for total, path in enumerate(find_images(source, skipped), start=1):
                file.write(json.dumps(path) + "\n")
                if total % 1000 == 0:
                    found(total)
        if total == 0:
            clear(job)
            raise no_images(source)
        largest = LARGEST_CHUNK.get(job.description["detector"], LARGEST_CHUNK_WITH_DETECTOR)
        chunk = min(max(total // (workers * CHUNKS_PER_WORKER), SMALLEST_CHUNK), largest)
        write_json(record, {**wanted, "chunk": settings.chunk or chunk, "skipped": +skipped.kinds})
    chunk, kinds = _read_record(record, wanted)
    for leftover in [*job.parts.glob("trace-*"), *job.parts.glob(f"*{SUFFIX}")]:
        leftover.unlink(missing_ok=True)
    starts, total, position = [], 0, 0
    with images.open("rb") as file:
        for total, line in enumerate(file, start=1):
            if total % chunk == 1 % chunk:
                starts.append(position)
            position += len(line)
    return dataclasses.replace(job, chunk=chunk, total=total, starts=tuple(starts), skipped=kinds)


@contextlib.contextmanager
def lock(job: Job) -> Iterator[None]:
    """Create the job's folder and lock it against other processes, if the system can lock files.

    On leaving, an empty folder is removed.
    """
    job.parts.mkdir(parents=True, exist_ok=True)
    path = job.parts / LOCK
    with path.open("ab") as file:
        if fcntl is not None:
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


def explain(error: BaseException) -> str:
    """Say in one line why a job cannot continue."""
    if isinstance(error, OSError):
        reason = f"{error.filename or 'The results'} cannot be written ({error.strerror or error})"
        return f"{reason}; finished chunks are kept: rerun to continue."
    return first_line(error)


def clear(job: Job) -> None:
    """Remove the job's own files."""
    for pattern in OWN_NAMES:
        for path in job.parts.glob(pattern):
            path.unlink(missing_ok=True)


def _read_record(record: Path, wanted: dict[str, Any]) -> tuple[int, Counter[str]]:
    """Return a started job's images per chunk and the files skipped; `ArchiveError` if it has other settings."""
    try:
        then = dict(json.loads(record.read_bytes()))
        chunk, skipped = int(then["chunk"]), Counter(dict(then["skipped"]))
    except (ValueError, KeyError, TypeError):
        raise ArchiveError(f"{record} is not a job's record; remove {record.parent} to start again.") from None
    for name, value in wanted.items():
        if then.get(name) != value:
            raise ArchiveError(
                f"{record.parent} holds a job with {name} {then.get(name)}, but now it is {value}; use the same "
                "settings to continue it, remove the folder to start again, or name another output."
            )
    return chunk, skipped
