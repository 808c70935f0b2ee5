"""Worker processes on one machine: each takes a chunk at a time, and one that dies is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from mien.core.errors import MienError
from mien.inference.archive.errors import ArchiveError, explain
from mien.inference.archive.job import Job

# Workers that die in a row before any has taken a chunk.
DEATHS_AT_START = 3
LISTEN = 0.25  # seconds between looks at whether to stop
READY, DONE, FAILED = "ready", "done", "failed"


class Member:
    """A worker process, the chunk that it has, and the line to it."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.chunk: int | None = None
        self.is_ready = False
        self.process = context.Process(target=serve_chunks, args=(job, theirs), daemon=True)
        with _interrupts_blocked():
            self.process.start()
        theirs.close()  # so that the line ends when the worker does

    def give(self, chunk: int) -> None:
        """Hand out a chunk; that the worker has died shows when its line is read."""
        self.chunk = chunk
        with contextlib.suppress(OSError):
            self.line.send(chunk)

    def end(self) -> None:
        """End the process at once: an unfinished part has no name yet."""
        self.process.kill()
        self.process.join()
        self.line.close()


def run_processes(job: Job, chunks: Sequence[int], workers: int, stop: Callable[[], bool]) -> Iterator[int]:
    """Annotate chunks in processes of their own, and yield the number of each when it is finished.

    Args:
        job: A job that has begun.
        chunks: What remains to be done.
        workers: How many processes.
        stop: Asked several times a second; once it is true, the rest is left undone.

    Raises:
        ArchiveError: A worker cannot go on, as when the disk is full, or workers keep dying.
    """
    waiting = deque(chunks)
    team = [Member(job) for _ in range(min(workers, len(chunks)))]
    deaths = 0
    try:
        while (waiting or any(member.chunk is not None for member in team)) and not stop():
            for line in wait([member.line for member in team], timeout=LISTEN):
                member = next(member for member in team if member.line is line)
                message = _hear(member)
                if message is None:
                    deaths = 0 if member.is_ready else deaths + 1
                    team[team.index(member)] = _replace(member, job, waiting, deaths)
                    continue
                kind, value = message
                if kind == FAILED:
                    raise ArchiveError(value)
                member.is_ready = True
                member.chunk = None
                if waiting:
                    member.give(waiting.popleft())
                if kind == DONE:
                    yield value
    finally:
        for member in team:
            member.end()


def serve_chunks(job: Job, line: Connection) -> None:
    """Be a worker: take chunks until the line ends."""
    from mien.inference.archive.worker import ChunkWorker

    try:
        worker = ChunkWorker(job)
        line.send((READY, None))
        while True:
            number = line.recv()
            worker.annotate(number)
            line.send((DONE, number))
    except (EOFError, BrokenPipeError):  # whoever started this process is gone
        return
    except (MienError, OSError, MemoryError) as error:
        with contextlib.suppress(OSError):
            line.send((FAILED, explain(error)))


def _hear(member: Member) -> tuple[str, Any] | None:
    """Return what a worker says, or None: it is dead."""
    try:
        message: tuple[str, Any] = member.line.recv()
    except (EOFError, OSError):
        return None
    return message


def _replace(dead: Member, job: Job, waiting: deque[int], deaths: int) -> Member:
    """Start another worker; the chunk of the dead one is next."""
    dead.end()
    if deaths >= DEATHS_AT_START:
        raise ArchiveError(
            f"{deaths} workers in a row died while starting (exit code {dead.process.exitcode}), perhaps for want of "
            "memory; run again with fewer --workers."
        )
    if dead.chunk is not None:
        waiting.appendleft(dead.chunk)
    return Member(job)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let Ctrl-C reach this process alone: a child keeps what is blocked when it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
