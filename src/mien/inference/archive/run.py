"""Annotate an archive of images, from the search for images to the finished table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from mien.core.errors import ArchiveError, InterruptedArchiveError, MissingExtraError
from mien.core.paths import AnyPath
from mien.inference.archive import cluster, pool
from mien.inference.archive.job import ArchiveSettings, begin, clear, explain, lock, plan
from mien.inference.archive.listing import check_source, root_of
from mien.inference.archive.tables import Summary, join_parts

SUFFIX = ".parquet"


def annotate(  # noqa: PLR0913
    source: AnyPath,
    out: AnyPath,
    settings: ArchiveSettings | None = None,
    *,
    ray: str | None = None,
    advance: Callable[[int, int | None], object] = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Recognize every face in the images of a folder or a list, and write one table.

    Finished chunks are kept in the folder `OUT.parts` until all are done; the same call continues from there. Processes
    are spawned, so a script that calls this needs `if __name__ == "__main__":`.

    Args:
        source: A folder, searched recursively, or a text file with one path per line.
        out: The Parquet file to write. Bad files are listed beside it, in `bad_list(out)`.
        settings: Model, detector, and the number of processes.
        ray: None, `local`, `auto` or the address of a Ray cluster; all its machines must see both paths.
        advance: Called with the numbers of finished images, first those of an earlier run, and of all; during the
            search with the number found so far and None.
        stop: Called several times per second; True stops the job.

    Returns:
        The archive in numbers.

    Raises:
        ArchiveError: Input, output or settings do not fit; no image could be read; the disk is full; workers fail.
        InterruptedArchiveError: `stop` returned True.
        MissingExtraError: pyarrow or Ray is not installed.
    """
    source, out, settings = Path(source), Path(out), settings or ArchiveSettings()
    for module, extra in (("pyarrow", "annotate"), ("ray", "ray"))[: 1 if ray is None else 2]:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"Annotating archives (it uses {module})", extra)
    check_source(source)
    _check_output(source, out)
    job = plan(source, out, settings)
    run, place = (
        (pool.run_processes, nullcontext(settings.workers or 1))
        if ray is None
        else (cluster.run_ray, cluster.connected(ray, settings.workers))
    )

    def on_found(count: int) -> None:
        advance(count, None)
        if stop():
            raise InterruptedArchiveError("Stopped during the search for images; nothing is done yet.")

    try:
        with place as workers, lock(job):
            job = begin(job, source, settings, workers, on_found)
            missing = [number for number in range(len(job.starts)) if not job.part(number).exists()]
            done = job.total - sum(map(job.size, missing))
            advance(done, job.total)
            for number in run(job, missing, workers, stop) if missing else ():
                done += job.size(number)
                advance(done, job.total)
            if done < job.total:
                raise InterruptedArchiveError(
                    f"Stopped: {done:,} of {job.total:,} images are done and kept in {job.parts}; rerun to continue."
                )
            summary = join_parts(job, out, bad_list(out))
            clear(job)
            return summary
    except OSError as error:
        raise ArchiveError(explain(error)) from None


def bad_list(out: AnyPath) -> Path:
    """Return the path of an output's list of bad files: JSON lines of `source` and `reason`."""
    out = Path(out)
    return out.with_name(out.name.removesuffix(SUFFIX) + ".bad.jsonl")


def _check_output(source: Path, out: Path) -> None:
    if out.suffix != SUFFIX:
        raise ArchiveError(f"{out} does not end in {SUFFIX}; results are written as one Parquet file.")
    for path in (out, bad_list(out)):
        if path.exists():
            raise ArchiveError(f"{path} already exists; remove it or name another output.")
    if source.is_dir() and out.resolve().is_relative_to(root_of(source)):
        raise ArchiveError(f"{out} is inside {source}; name an output outside of the folder with the images.")
