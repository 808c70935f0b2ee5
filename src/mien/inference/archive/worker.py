"""What a worker does, whoever started it: annotate one chunk of pictures and leave one whole part."""

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

# Faces of one forward pass at 48 x 48 pixels; of larger ones fewer, to hold memory.
FACES = 64
FEWEST_FACES = 8
# A file that was at hand this often when its worker died is bad; a chunk that died this often stops the job.
DEATHS_OF_A_FILE = 2
DEATHS_BETWEEN_FILES = 3
DEATHS_OF_A_CHUNK = 20
BETWEEN_FILES = -1


class Trace:
    """Notes in a file which picture is at hand, so that whoever takes a dead worker's chunk knows what killed it.

    Each attempt is 16 bytes: process id and place in the chunk, -1 while no picture is at hand. The notes are made in
    shared memory, which outlives the process.
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
        """Note the picture at hand."""
        self._record.pack_into(self._memory, self._offset, os.getpid(), place)

    def remove(self) -> None:
        """Remove the notes: the chunk is finished."""
        self._memory.close()
        self._path.unlink(missing_ok=True)


class ChunkWorker:
    """Annotates chunks, one after the other, on one thread. Memory holds one picture and the faces of one pass."""

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
        """Write the part of a chunk, unless it is there.

        Raises:
            ArchiveError: Workers have died on this chunk too often, and no file is to blame.
            OSError: The part cannot be written.
        """
        job = self._job
        trace = Trace(job.trace(number))
        if not is_whole(job.part(number)):
            _check_deaths(trace.earlier)
            with PILLOW_WARNINGS.ignored():
                rows = self._annotate(job.paths(number), trace)
            write_part(rows.to_table(), job.part(number))
        trace.remove()

    def _annotate(self, paths: Sequence[bytes], trace: Trace) -> Rows:
        rows = Rows(self._recognizer.card.labels.names)
        waiting: list[FoundFaces | BadFile] = []
        for place, path in enumerate(paths):
            if trace.earlier.count(place) >= DEATHS_OF_A_FILE:
                waiting.append(BadFile(readable(path), f"the file ended its worker {DEATHS_OF_A_FILE} times"))
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
            if isinstance(one, BadFile):
                rows.add_bad(one)
            else:
                rows.add(next(results))


def read_file(path: bytes, limits: Limits) -> bytes:
    """Return the bytes of an ordinary file, at most one more than is allowed; pipes and devices are not waited for.

    Raises:
        ImageError: It is absent, cannot be read, or is something else.
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


def _check_deaths(earlier: Sequence[int]) -> None:
    if earlier.count(BETWEEN_FILES) >= DEATHS_BETWEEN_FILES or len(earlier) >= DEATHS_OF_A_CHUNK:
        raise ArchiveError(
            f"Workers died {len(earlier)} times on the same pictures, perhaps for want of memory; "
            "run again with fewer --workers: what is finished is kept."
        )
