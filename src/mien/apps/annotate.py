"""`mien annotate`: every face of a large archive of images, in one Parquet table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.options import DetectorName, KeepAll, ModelName
from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.inference.archive.run import Watcher
    from mien.inference.archive.tables import Summary

SECONDS_BETWEEN_LINES = 60  # of a log


def annotate(  # noqa: PLR0913, PLR0917 (the options of the command)
    source: Annotated[
        Path,
        typer.Argument(metavar="FOLDER|LIST", help="A folder (searched recursively), or a text file of paths."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.parquet", help="Write the table here.")],
    model: ModelName = "default",
    detector: DetectorName = "auto",
    keep_all: KeepAll = False,
    plugin: PluginFiles = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes, one thread each [default: one per core]."),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Images per chunk: what a killed worker may lose."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="local|auto|ADDRESS", help="Use Ray: on this machine, or a cluster."),
    ] = None,
) -> None:
    """Annotate an archive of images.

    The table has one row per face; an image without faces has one row with face 0. Files that cannot be read are
    skipped and listed with reasons in FILE.bad.jsonl. After a stop, rerun to continue. The result says how a face
    looks, not what a person feels.
    """
    from mien.apps.interruption import Interruption
    from mien.core.hardware import available_cores
    from mien.inference.archive.errors import InterruptedArchiveError
    from mien.inference.archive.job import ArchiveSettings
    from mien.inference.archive.run import annotate as run

    load_plugin_files(plugin)
    if ray is None:
        workers = workers or available_cores()
    settings = ArchiveSettings(model, detector, not keep_all, workers, chunk)
    interruption = Interruption()
    try:
        with interruption.delayed(), _progress(lambda: bool(interruption.signal)) as watcher:
            summary = run(source, out, settings, ray=ray, watcher=watcher)
    except InterruptedArchiveError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(128 + interruption.signal) from None
    _print_summary(summary, out)
    if not summary.images:
        raise typer.Exit(1)


def _print_summary(summary: Summary, out: Path) -> None:
    from mien.core.text import count, percent, printable
    from mien.inference.archive.run import bad_list

    without = f" ({summary.without_face:,} without a face)" if summary.without_face else ""
    typer.echo(f"{printable(str(out))}: {count(summary.images, 'image')}{without}, {count(summary.faces, 'face')}")
    if summary.faces:
        shares = (f"{name} {percent(n / summary.faces, 1)} ({n:,})" for name, n in summary.labels.most_common())
        typer.echo(f"Expressions: {', '.join(shares)}")
    if summary.bad:
        bad = count(summary.bad, "file")
        typer.echo(f"{bad} could not be read; see {printable(str(bad_list(out)))}", err=True)


@contextmanager
def _progress(stop: Callable[[], bool]) -> Iterator[Watcher]:
    """Show images per second and the time left on standard error: a bar, or in a log one line per minute."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mien.inference.archive.run import Watcher

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Watcher(advance=Log().advance, stop=stop)
        return
    text = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeRemainingColumn()
    with Progress(*text, console=console, transient=True, speed_estimate_period=120) as progress:
        task = progress.add_task("searching for images", total=None, count="")
        rate = Rate()

        def advance(done: int, total: int) -> None:
            count = f"{done:,} of {total:,}  {rate.of(done):,.0f} images/s"
            progress.update(task, description="annotating", completed=done, total=total, count=count)

        yield Watcher(lambda n: progress.update(task, count=f"{n:,} found"), advance, stop)


class Rate:
    """Images per second since the first call, which may count those of an earlier run."""

    def __init__(self) -> None:
        self._start = self._first = -1.0

    def of(self, done: int) -> float:
        """Return the rate, 0 at first."""
        if self._first < 0:
            self._start, self._first = time.monotonic(), done
        return (done - self._first) / max(time.monotonic() - self._start, 1e-9)


class Log:
    """Progress as lines: what an earlier run has done, and then one line per minute."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._next = 0.0

    def advance(self, done: int, total: int) -> None:
        """Print a line if one is due."""
        rate, now = self._rate.of(done), time.monotonic()
        is_first = not self._next
        if is_first and done:
            typer.echo(f"Continuing: {done:,} of {total:,} images are done", err=True)
        elif not is_first and now >= self._next:
            left = f", {(total - done) / rate / 60:.0f} minutes left" if rate else ""
            typer.echo(f"{done:,} of {total:,} images, {rate:,.0f} per second{left}", err=True)
        if is_first or now >= self._next:
            self._next = now + SECONDS_BETWEEN_LINES
