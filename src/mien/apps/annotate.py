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
        shares = (
            f"{name} {percent(n / summary.faces)} ({n:,} of {summary.faces:,})"
            for name, n in summary.labels.most_common()
        )
        typer.echo(f"Expressions: {', '.join(shares)}")
    if summary.bad:
        bad = count(summary.bad, "file")
        typer.echo(f"{bad} could not be read; see {printable(str(bad_list(out)))}", err=True)


@contextmanager
def _progress(stop: Callable[[], bool]) -> Iterator[Watcher]:
    """Show images per second and the time left on standard error: a bar, or in a log one line per minute."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from mien.inference.archive.run import Watcher

    console = Console(stderr=True)
    log = Log()
    if not console.is_terminal:
        yield Watcher(advance=log.advance, stop=stop)
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}")
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("searching for images", total=None, count="")

        def advance(done: int, total: int) -> None:
            count = log.describe(done, total)
            progress.update(task, description="annotating", completed=done, total=total, count=count)

        yield Watcher(lambda n: progress.update(task, count=f"{n:,} found"), advance, stop)


class Log:
    """Progress as text; the rate is that of this run."""

    def __init__(self) -> None:
        self._next = self._start = 0.0
        self._first = 0

    def describe(self, done: int, total: int) -> str:
        """Return how many images are done, how many per second since the first call, and the time left."""
        if not self._start:
            self._start, self._first = time.monotonic(), done
        rate = (done - self._first) / max(time.monotonic() - self._start, 1e-9)
        left = f", {(total - done) / rate / 60:.0f} minutes left" if rate else ""
        return f"{done:,} of {total:,} images, {rate:,.0f} per second{left}"

    def advance(self, done: int, total: int) -> None:
        """Print what an earlier run has done, and then one line per minute."""
        line, now = self.describe(done, total), time.monotonic()
        if now < self._next:
            return
        if self._next:
            typer.echo(line, err=True)
        elif done:
            typer.echo(f"Continuing: {done:,} of {total:,} images are done", err=True)
        self._next = now + SECONDS_BETWEEN_LINES
