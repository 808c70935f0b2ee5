"""The work on one chunk of images, in any process: annotate them and write one part of the table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import ArchiveError, ImageError
from mien.core.regular_file import ADDRESS, is_address
from mien.inference.archive.job import Job
from mien.inference.archive.listing import readable
from mien.inference.archive.tables import rows_of, write_part
from mien.inference.recognizer import FoundFaces

# Faces per forward pass at 48 x 48 pixels; fewer for larger inputs, to bound memory.
FACES = 64
FEWEST_FACES = 8
# A file is bad once this many workers died on it; the job stops once this many died between files or on one chunk.
DEATHS_OF_A_FILE = 2
DEATHS_BETWEEN_FILES = 3
DEATHS_OF_A_CHUNK = 20
BETWEEN_FILES = -1


class Trace:
    """Records the current image in a file, so that the worker that takes over after a death knows where it happened.

    Each attempt is one row: process id, and position in the chunk or -1 between images. The file is mapped into memory,
    so it keeps what a killed process wrote.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("ab") as file:
            file.write(np.array([os.getpid(), BETWEEN_FILES]).tobytes())
        self._attempts = np.memmap(path, np.int64, "r+").reshape(-1, 2)
        self.earlier: list[int] = self._attempts[:-1, 1].tolist()

    def at(self, place: int) -> None:
        """Record the position of the current image."""
        self._attempts[-1, 1] = place

    def remove(self) -> None:
        """Remove the file once the chunk is finished."""
        del self._attempts
        self._path.unlink(missing_ok=True)


class ChunkWorker:
    """Annotates chunks one after the other on one thread. Holds one image and the faces of one pass in memory."""

    def __init__(self, job: Job) -> None:
        """Load the network and the detector."""
        import pyarrow as pa

        pa.set_cpu_count(1)
        warnings.filterwarnings("ignore", module="PIL")
        self._job = job
        self._recognizer = job.recognizer()
        size = self._recognizer.card.input.size
        self._faces = min(max(FACES * 48**2 // size**2, FEWEST_FACES), FACES)

    def annotate(self, number: int) -> None:
        """Write the part of a chunk, unless it exists.

        Raises:
            ArchiveError: Too many workers died on this chunk, and not on a single file.
            OSError: The part cannot be written.
        """
        job = self._job
        trace = Trace(job.trace(number))
        if not job.part(number).exists():
            if trace.earlier.count(BETWEEN_FILES) >= DEATHS_BETWEEN_FILES or len(trace.earlier) >= DEATHS_OF_A_CHUNK:
                raise ArchiveError(
                    f"Workers died {len(trace.earlier)} times on the same images, perhaps because memory ran out; "
                    "rerun with fewer --workers: finished chunks are kept."
                )
            rows = [row for found in self._batches(job.paths(number), trace) for row in self._classify(found)]
            write_part(rows, self._recognizer.card.labels.names, job.part(number))
        trace.remove()

    def _batches(self, paths: Sequence[str], trace: Trace) -> Iterator[list[tuple[FoundFaces, str]]]:
        """Yield images with the faces of about one forward pass, each with its error, "" for none."""
        waiting: list[tuple[FoundFaces, str]] = []
        for place, path in enumerate(paths):
            if trace.earlier.count(place) >= DEATHS_OF_A_FILE:
                waiting.append(_bad(path, f"{DEATHS_OF_A_FILE} workers died on this file"))
                continue
            trace.at(place)
            waiting.append(self._find(path))
            if sum(len(found.crops) for found, _ in waiting) >= self._faces:
                trace.at(BETWEEN_FILES)
                yield waiting
                waiting = []
        trace.at(BETWEEN_FILES)
        yield waiting

    def _find(self, path: str) -> tuple[FoundFaces, str]:
        file = Path(self._job.root, path)
        try:
            _check(path, file)
            return replace(self._recognizer.find(file, "the file"), source=readable(path)), ""
        except Exception as error:  # a plug-in's detector may raise anything; one bad image must not stop the job
            reason = (str(error).splitlines() or [""])[0]
            return _bad(path, reason if isinstance(error, ImageError) else f"{type(error).__name__}: {reason}")

    def _classify(self, waiting: Sequence[tuple[FoundFaces, str]]) -> Iterator[dict[str, Any]]:
        """Score the faces of several images together, and yield the images' rows in order."""
        results = self._recognizer.classify([found for found, _ in waiting], batch=self._faces)
        for result, (_, error) in zip(results, waiting, strict=True):
            yield from rows_of(result, error)


def _check(path: str, file: Path) -> None:
    """Raise `ImageError` for an address, and for a folder that was not searched because it cannot be opened."""
    if is_address(path):
        raise ImageError(f"the file cannot be read ({ADDRESS}).")
    if os.path.isdir(file):  # noqa: PTH112 - unlike `Path.is_dir`, it never raises
        try:
            os.scandir(file).close()
        except OSError as error:
            raise ImageError(f"the folder cannot be searched ({error.strerror}).") from None


def _bad(path: str, reason: str) -> tuple[FoundFaces, str]:
    return FoundFaces(readable(path), 0, 0, [], []), reason
