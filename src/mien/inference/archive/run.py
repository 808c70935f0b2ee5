"""Annotate an archive of images, from the search for images to the finished table."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mien.core.errors import MissingExtraError
from mien.inference.archive.errors import ArchiveError, InterruptedArchiveError, explain
from mien.inference.archive.job import ArchiveSettings, Job, begin, clear, lock, plan
from mien.inference.archive.listing import check_source, root_of
from mien.inference.archive.tables import Summary, is_whole, join_parts

SUFFIX = ".parquet"
# Annotates chunks (the second argument) of a job with so many workers until a function returns True; yields the numbers
# of finished chunks.
Runner: TypeAlias = Callable[[Job, Sequence[int], int, Callable[[], bool]], Iterator[int]]


@dataclass(frozen=True)
class Watcher:
    """Callbacks for progress and for stopping.

    Attributes:
        found: Called with the number of images found so far, during the search.
        advance: Called with the numbers of finished images and of all; first with those of an earlier run.
        stop: Called several times per second; True stops the job.
    """

    found: Callable[[int], None] = lambda _: None
    advance: Callable[[int, int], None] = lambda *_: None
    stop: Callable[[], bool] = lambda: False


def annotate(
    source: Path,
    out: Path,
    settings: ArchiveSettings | None = None,
    *,
    ray: str | None = None,
    watcher: Watcher = Watcher(),
) -> Summary:
    """Recognise every face in the images of a folder or a list, and write one table.

    Finished chunks are kept in the folder `OUT.parts` until all are done; the same call continues from there. Processes
    are spawned, so a script that calls this needs `if __name__ == "__main__":`.

    Args:
        source: A folder, searched recursively, or a text file with one path per line.
        out: The Parquet file to write. Bad files are listed beside it, in `bad_list(out)`.
        settings: Model, detector, and the number of processes.
        ray: None, `local`, `auto` or the address of a Ray cluster; all its machines must see both paths.
        watcher: Callbacks.

    Returns:
        The archive in numbers.

    Raises:
        ArchiveError: Input, output or settings do not fit; no image could be read; the disk is full; workers fail.
        InterruptedArchiveError: `watcher.stop` returned True.
        MissingExtraError: pyarrow or Ray is not installed.
    """
    settings = settings or ArchiveSettings()
    for module, extra in (("pyarrow", "annotate"), ("ray", "ray"))[: 1 if ray is None else 2]:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"Annotating archives (it uses {module})", extra)
    check_source(source)
    _check_output(source, out)
    job = plan(source, out, settings)
    try:
        with _workers(ray, settings.workers) as (run, workers), lock(job):
            job = begin(job, source, settings, workers, lambda count: _on_found(count, watcher))
            _run(job, run, workers, watcher)
            summary = join_parts(job, out, bad_list(out))
            clear(job)
            return summary
    except OSError as error:
        raise ArchiveError(explain(error)) from None


def bad_list(out: Path) -> Path:
    """Return the path of an output's list of bad files: JSON lines of `source` and `reason`."""
    return out.with_name(out.name.removesuffix(SUFFIX) + ".bad.jsonl")


def _on_found(count: int, watcher: Watcher) -> None:
    watcher.found(count)
    if watcher.stop():
        raise InterruptedArchiveError("Stopped during the search for images; nothing is done yet.")


def _run(job: Job, run: Runner, workers: int, watcher: Watcher) -> None:
    missing = [number for number in range(len(job.starts)) if not is_whole(job.part(number))]
    done = job.total - sum(map(job.size, missing))
    watcher.advance(done, job.total)
    for number in run(job, missing, workers, watcher.stop) if missing else ():
        done += job.size(number)
        watcher.advance(done, job.total)
    if watcher.stop() and done < job.total:
        raise InterruptedArchiveError(
            f"Stopped: {done:,} of {job.total:,} images are done and kept in {job.parts}; rerun to continue."
        )


@contextlib.contextmanager
def _workers(ray: str | None, workers: int | None) -> Iterator[tuple[Runner, int]]:
    if ray is None:
        from mien.inference.archive.pool import run_processes

        yield run_processes, workers or 1
        return
    from mien.inference.archive.cluster import connected, run_ray

    with connected(ray, workers) as count:
        yield run_ray, count


def _check_output(source: Path, out: Path) -> None:
    if out.suffix != SUFFIX:
        raise ArchiveError(f"{out} does not end in {SUFFIX}; results are written as one Parquet file.")
    for path in (out, bad_list(out)):
        if path.exists():
            raise ArchiveError(f"{path} already exists; remove it or name another output.")
    if source.is_dir() and out.resolve().is_relative_to(root_of(source)):
        raise ArchiveError(f"{out} is inside {source}; name an output outside of the folder with the images.")
