"""The same job on Ray, on this machine or a cluster: Ray Data hands chunks to a pool of actors.

Images and parts are shared by path, so all machines need the same shared folders. Ray restarts dead actors and repeats
their chunks; the parts are the same as those of local processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mien.core.errors import ArchiveError
from mien.core.text import first_line
from mien.inference.archive.job import Job, explain
from mien.inference.archive.worker import ChunkWorker

LOCAL = "local"
MOST_BLOCKS = 1000
CONNECT_TIMEOUT = 10  # seconds
# If actors took whole cores, Ray's own tasks would get none, and both would wait forever.
CORES_PER_ACTOR = 0.5


class ChunkActor(ChunkWorker):
    """A `ChunkWorker` as Ray Data calls it; returns what it gets."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Annotate the chunks that `batch["chunk"]` names."""
        for number in batch["chunk"]:
            self.annotate(int(number))
        return batch


@contextlib.contextmanager
def connected(address: str, workers: int | None) -> Iterator[int]:
    """Start Ray on this machine (`local`), or connect to the cluster at an address; yield how many workers to use.

    A connection that this process already has is used, and stays open.

    Raises:
        ArchiveError: There is no such cluster.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    is_ours = not ray.is_initialized()
    place = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        if is_ours:
            _check_reachable(address)
            ray.init(**place, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ArchiveError(
            f"Ray at '{address}' cannot be used ({first_line(error)}); expected local, auto or ADDRESS."
        ) from None
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield workers or max(int(resources.get("CPU", 1)), 1)
    finally:
        if is_ours:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Connect to an address once: Ray itself would try for minutes, and then end the process."""
    place = urllib.parse.urlsplit(address if "://" in address else f"ray://{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=CONNECT_TIMEOUT).close()


def run_ray(job: Job, chunks: Sequence[int], workers: int, stop: Callable[[], bool]) -> Iterator[int]:
    """Annotate chunks in Ray actors, and yield the number of each finished chunk.

    Raises:
        ArchiveError: A worker cannot continue, for example because the disk is full, or the cluster is lost.
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
    """Return the message of the error that caused Ray's."""
    while (cause := getattr(error, "cause", None) or error.__cause__) is not None:
        error = cause
    return explain(error)
