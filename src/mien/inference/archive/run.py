"""Annotate an archive of pictures, from the first look at the folder to the finished table."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import MissingExtraError
from mien.inference.archive.errors import ArchiveError, InterruptedArchiveError, explain
from mien.inference.archive.job import ArchiveSettings, Job, begin, clear, held, plan
from mien.inference.archive.listing import check_source, root_of
from mien.inference.archive.tables import Summary, is_whole, join_parts

SUFFIX = ".parquet"


@dataclass(frozen=True)
class Watcher:
    """Whom to tell how it goes, and whom to ask whether to stop.

    Attributes:
        found: Called with the pictures found so far, while they are sought.
        advance: Called with the pictures done and all pictures; first with those of an earlier run.
        stop: Asked several times a second.
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
    """Recognise every face in the pictures of a folder or a list, and write one table.

    What is finished stands in the folder `OUT.parts` until all is; the same call continues it there. Processes are
    started afresh (`spawn`), so a script that calls this needs `if __name__ == "__main__":`.

    Args:
        source: A folder, searched with the folders in it, or a text file with a path a line.
        out: The Parquet file to write. Bad files are listed beside it, in `bad_list(out)`.
        settings: Model, detector, and how many processes.
        ray: None, `local`, `auto` or the address of a Ray cluster whose machines all see both paths.
        watcher: Told of the progress.

    Returns:
        What the archive holds.

    Raises:
        ArchiveError: Input, output or settings do not fit; no picture could be read; the disk is full; workers fail.
        InterruptedArchiveError: `watcher.stop` said so.
        MissingExtraError: pyarrow or Ray is not installed.
    """
    settings = settings or ArchiveSettings()
    _check_extras(use_ray=ray is not None)
    check_source(source)
    _check_output(source, out)
    job = plan(source, out, settings)
    try:
        with _crew(ray, settings.workers) as crew, held(job):
            return _run(job, source, out, settings, crew, watcher)
    except OSError as error:
        raise ArchiveError(explain(error)) from None


def bad_list(out: Path) -> Path:
    """Return where the bad files of an output are listed, as JSON lines of `source` and `reason`."""
    return out.with_name(out.name.removesuffix(SUFFIX) + ".bad.jsonl")


@dataclass(frozen=True)
class Crew:
    """Who does the work: a function as `run_processes`, and with how many workers."""

    run: Callable[[Job, Sequence[int], int, Callable[[], bool]], Iterator[int]]
    workers: int


def _run(job: Job, source: Path, out: Path, settings: ArchiveSettings, crew: Crew, watcher: Watcher) -> Summary:  # noqa: PLR0913, PLR0917
    def found(count: int) -> None:
        watcher.found(count)
        if watcher.stop():
            raise InterruptedArchiveError("Stopped while seeking pictures; nothing is done yet.")

    job = begin(job, source, settings, crew.workers, found)
    missing = [number for number in range(len(job.starts)) if not is_whole(job.part(number))]
    done = job.total - sum(map(job.size, missing))
    watcher.advance(done, job.total)
    for number in crew.run(job, missing, crew.workers, watcher.stop) if missing else ():
        done += job.size(number)
        watcher.advance(done, job.total)
    if watcher.stop() and done < job.total:
        raise InterruptedArchiveError(
            f"Stopped: {done:,} of {job.total:,} pictures are done, in {job.parts}; the same command goes on there."
        )
    summary = join_parts(job, out, bad_list(out))
    clear(job)
    return summary


@contextlib.contextmanager
def _crew(ray: str | None, workers: int | None) -> Iterator[Crew]:
    if ray is None:
        from mien.inference.archive.pool import run_processes

        yield Crew(run_processes, workers or 1)
        return
    from mien.inference.archive.cluster import connected, run_ray

    with connected(ray, workers) as count:
        yield Crew(run_ray, count)


def _check_extras(*, use_ray: bool) -> None:
    for module, extra in (("pyarrow", "annotate"), ("ray", "ray"))[: 1 + use_ray]:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"This (it uses {module})", extra)


def _check_output(source: Path, out: Path) -> None:
    if out.suffix != SUFFIX:
        raise ArchiveError(f"{out} does not end in {SUFFIX}; results are written as one Parquet file.")
    for path in (out, bad_list(out)):
        if path.exists():
            raise ArchiveError(f"{path} exists already; remove it or name another output.")
    if source.is_dir() and out.resolve().is_relative_to(root_of(source)):
        raise ArchiveError(f"{out} lies in {source}; name an output outside of the folder with the pictures.")
