"""The work on one chunk of images, in any process: annotate them and write one part."""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mien.core.errors import ImageError
from mien.core.image import PILLOW_WARNINGS, Limits
from mien.inference.archive.errors import ArchiveError
from mien.inference.archive.job import Job
from mien.inference.archive.listing import readable
from mien.inference.archive.tables import BadFile, Rows, is_whole, write_part
from mien.inference.recognizer import FoundFaces

# Faces per forward pass at 48 x 48 pixels; fewer for larger inputs, to bound memory.
FACES = 64
FEWEST_FACES = 8
# A file that was in use at so many deaths of a worker is bad; a chunk with so many deaths stops the job.
DEATHS_OF_A_FILE = 2
DEATHS_BETWEEN_FILES = 3
DEATHS_OF_A_CHUNK = 20
BETWEEN_FILES = -1


class Trace:
    """Records the current image in a file, so that the worker that takes over a dead worker's chunk knows the cause.

    Each attempt is 16 bytes: process id and position in the chunk, -1 between images. They are in shared memory, which
    outlives the process.
    """

    _record = struct.Struct("=qq")

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("a+b") as file:
            file.write(self._record.pack(os.getpid(), BETWEEN_FILES))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), 0)
        self._offset = len(self._memory) - self._record.size
        self.earlier = [place for _, place in self._record.iter_unpack(self._memory[: self._offset])]

    def at(self, place: int) -> None:
        """Record the position of the current image."""
        self._record.pack_into(self._memory, self._offset, os.getpid(), place)

    def remove(self) -> None:
        """Remove the file: the chunk is finished."""
        self._memory.close()
        self._path.unlink(missing_ok=True)


class ChunkWorker:
    """Annotates chunks one after the other on one thread. Memory holds one image and the faces of one forward pass."""

    def __init__(self, job: Job) -> None:
        """Load the network and the detector."""
        import pyarrow as pa

        pa.set_cpu_count(1)
        self._job = job
        self._limits = Limits()
        self._recognizer = job.recognizer()
        size = self._recognizer.card.input.size
        self._faces = min(max(FACES * 48**2 // size**2, FEWEST_FACES), FACES)

    def annotate(self, number: int) -> None:
        """Write the part of a chunk, unless it exists.

        Raises:
            ArchiveError: Workers have died too often on this chunk, and not because of one file.
            OSError: The part cannot be written.
        """
        job = self._job
        trace = Trace(job.trace(number))
        if not is_whole(job.part(number)):
            if trace.earlier.count(BETWEEN_FILES) >= DEATHS_BETWEEN_FILES or len(trace.earlier) >= DEATHS_OF_A_CHUNK:
                raise ArchiveError(
                    f"Workers died {len(trace.earlier)} times on the same images, perhaps for lack of memory; "
                    "rerun with fewer --workers: finished chunks are kept."
                )
            with PILLOW_WARNINGS.ignored():
                rows = self._annotate(job.paths(number), trace)
            write_part(rows.to_table(), job.part(number))
        trace.remove()

    def _annotate(self, paths: Sequence[bytes], trace: Trace) -> Rows:
        rows = Rows(self._recognizer.card.labels.names)
        waiting: list[FoundFaces | BadFile] = []
        for place, path in enumerate(paths):
            if trace.earlier.count(place) >= DEATHS_OF_A_FILE:
                waiting.append(BadFile(readable(path), f"{DEATHS_OF_A_FILE} workers died on this file"))
                continue
            trace.at(place)
            waiting.append(self._find(path))
            if sum(len(one.crops) for one in waiting if isinstance(one, FoundFaces)) >= self._faces:
                trace.at(BETWEEN_FILES)
                self._classify(waiting, rows)
                waiting.clear()
        trace.at(BETWEEN_FILES)
        self._classify(waiting, rows)
        return rows

    def _find(self, path: bytes) -> FoundFaces | BadFile:
        source = readable(path)
        try:
            data = read_file(os.path.join(os.fsencode(self._job.root), path), self._limits)  # noqa: PTH118
            return replace(self._recognizer.find(data, "the file", limits=self._limits), source=source)
        except Exception as error:  # a plug-in's detector may raise anything; one odd image must not stop a million
            reason = (str(error).splitlines() or [""])[0]
            return BadFile(source, reason if isinstance(error, ImageError) else f"{type(error).__name__}: {reason}")

    def _classify(self, waiting: Sequence[FoundFaces | BadFile], rows: Rows) -> None:
        """Score the faces of several images together, and add the images' rows in order."""
        found = [one for one in waiting if isinstance(one, FoundFaces)]
        results = iter(self._recognizer.classify(found, batch=self._faces))
        for one in waiting:
            rows.add(one if isinstance(one, BadFile) else next(results))


def read_file(path: bytes, limits: Limits) -> bytes:
    """Return the bytes of a regular file, at most one more than the limit; does not block on pipes and devices.

    Raises:
        ImageError: It does not exist, cannot be read, or is not a regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("the path is a folder, a pipe or a device; expected an image file.")
            left = min(status.st_size, limits.max_bytes) + 1
            data = os.read(handle, left)
            while data and len(data) < min(left, status.st_size) and (more := os.read(handle, left - len(data))):
                data += more
            return data
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        raise ImageError(f"the file cannot be read ({getattr(error, 'strerror', None) or error}).") from None
