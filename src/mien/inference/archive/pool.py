"""Worker processes on one machine: each takes one chunk at a time; a worker that dies is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from mien.core.errors import ArchiveError, MienError
from mien.inference.archive.job import Job, explain

# The job stops after this many workers in a row have died before taking a chunk.
DEATHS_AT_START = 3
POLL_INTERVAL = 0.25  # seconds between checks whether to stop


class Member:
    """A worker process, its chunk, and the connection to it."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.chunk: int | None = None
        self.is_ready = False
        self.process = context.Process(target=serve_chunks, args=(job, theirs), daemon=True)
        with _interrupts_blocked():
            self.process.start()
        theirs.close()  # so that the connection ends with the worker

    def end(self) -> None:
        """End the process at once; an unfinished part has a temporary name."""
        self.process.kill()
        self.process.join()
        self.line.close()


def run_processes(job: Job, chunks: Sequence[int], workers: int, stop: Callable[[], bool]) -> Iterator[int]:
    """Annotate chunks in processes, and yield the number of each finished chunk until `stop` returns True.

    Raises:
        ArchiveError: A worker cannot continue, for example because the disk is full, or workers keep dying.
    """
    waiting = deque(chunks)
    team = [Member(job) for _ in range(min(workers, len(chunks)))]
    deaths = 0
    try:
        while (waiting or any(member.chunk is not None for member in team)) and not stop():
            for line in wait([member.line for member in team], timeout=POLL_INTERVAL):
                member = next(member for member in team if member.line is line)
                try:
                    message: int | str | None = member.line.recv()
                except (EOFError, OSError):  # the worker is dead; another one takes its chunk next
                    member.end()
                    deaths = 0 if member.is_ready else deaths + 1
                    if deaths >= DEATHS_AT_START:
                        raise ArchiveError(
                            f"{deaths} workers in a row died while starting (exit code {member.process.exitcode}), "
                            "perhaps for lack of memory; rerun with fewer --workers."
                        ) from None
                    if member.chunk is not None:
                        waiting.appendleft(member.chunk)
                    team[team.index(member)] = Member(job)
                    continue
                if isinstance(message, str):
                    raise ArchiveError(message)
                member.is_ready, member.chunk = True, None
                if waiting:
                    member.chunk = waiting.popleft()
                    with contextlib.suppress(OSError):  # a dead worker is noticed at the next `recv`
                        member.line.send(member.chunk)
                if message is not None:
                    yield message
    finally:
        for member in team:
            member.end()


def serve_chunks(job: Job, line: Connection) -> None:
    """Annotate the chunks that a connection names until it ends; runs in the worker process.

    Sends None when ready, then each chunk's number when it is finished, or why the job cannot continue.
    """
    from mien.inference.archive.worker import ChunkWorker

    try:
        worker = ChunkWorker(job)
        line.send(None)
        while True:
            number = line.recv()
            worker.annotate(number)
            line.send(number)
    except (EOFError, BrokenPipeError):  # the parent process has ended
        return
    except (MienError, OSError, MemoryError) as error:
        with contextlib.suppress(OSError):
            line.send(explain(error))


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from the child process, which inherits the blocked signals."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it unblocks Ctrl-C, so it must not start with the first worker
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
