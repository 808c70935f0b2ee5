"""The same job on a Ray cluster, or on a Ray of its own: chunks go through Ray Data to a pool of actors.

Pictures and results are reached by their paths, so all machines need the same shared folders. Ray starts dead actors
again and gives them their chunk; the part that they write is the one that processes on one machine write.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mien.inference.archive.errors import ArchiveError, explain
from mien.inference.archive.job import Job
from mien.inference.archive.worker import ChunkWorker

LOCAL = "local"
MOST_BLOCKS = 1000
PATIENCE = 10  # seconds
# With whole cores for the actors, none would be left for Ray's own tasks, and both would wait for ever.
CORES_PER_ACTOR = 0.5


class ChunkActor:
    """A `ChunkWorker` as Ray Data calls it: batches in, batches out."""

    def __init__(self, job: Job) -> None:
        self._worker = ChunkWorker(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Annotate the chunks of a batch, and return their numbers."""
        for number in batch["chunk"]:
            self._worker.annotate(int(number))
        return {"chunk": batch["chunk"]}


@contextlib.contextmanager
def connected(address: str, workers: int | None) -> Iterator[int]:
    """Start Ray on this machine (`local`), or join the cluster at an address; give how many workers to use.

    A Ray that this process is connected to already is taken, and left running.

    Raises:
        ArchiveError: There is no such cluster.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    is_ours = not ray.is_initialized()
    place = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        if is_ours:
            _reach(address)
            ray.init(**place, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArchiveError(f"Ray at '{address}' cannot be used ({reason}); expected local, auto or ADDRESS.") from None
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield workers or max(int(resources.get("CPU", 1)), 1)
    finally:
        if is_ours:
            ray.shutdown()


def _reach(address: str) -> None:
    """Knock at an address: Ray itself tries for minutes, and then ends the process."""
    place = urllib.parse.urlsplit(address if "://" in address else f"ray://{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=PATIENCE).close()


def run_ray(job: Job, chunks: Sequence[int], workers: int, stop: Callable[[], bool]) -> Iterator[int]:
    """Annotate chunks in Ray actors, and yield the number of each when it is finished.

    Raises:
        ArchiveError: A worker cannot go on, as when the disk is full, or the cluster is lost.
    """
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    blocks = min(len(chunks), MOST_BLOCKS)
    numbers = ray.data.from_items([{"chunk": number} for number in chunks], override_num_blocks=blocks)
    finished = numbers.map_batches(
        ChunkActor,
        fn_constructor_args=(job,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(chunks))),
        num_cpus=CORES_PER_ACTOR,
        scheduling_strategy="SPREAD",
        max_restarts=-1,
        max_task_retries=-1,
    )
    try:
        for row in finished.iter_rows():
            yield int(row["chunk"])
            if stop():
                return
    except ray.exceptions.RayError as error:
        raise ArchiveError(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """Find in what Ray raises the error that began it."""
    while (cause := getattr(error, "cause", None) or error.__cause__) is not None:
        error = cause
    return explain(error)
