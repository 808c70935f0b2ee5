"""`mien annotate`: every face of a big archive of pictures, into one Parquet table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.options import DetectorName, KeepAll, ModelName
from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.inference.archive.run import Watcher
    from mien.inference.archive.tables import Summary

SECONDS_BETWEEN_LINES = 60  # where nobody looks at a bar


def annotate(  # noqa: PLR0913, PLR0917 (the options of the command)
    source: Annotated[
        Path,
        typer.Argument(metavar="FOLDER|LIST", help="A folder (searched with all in it), or a text file of paths."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.parquet", help="The table to write.")],
    model: ModelName = "default",
    detector: DetectorName = "auto",
    keep_all: KeepAll = False,
    plugin: PluginFiles = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes of one thread each; by default one a core."),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Pictures finished together: what a kill costs a worker at most."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="local|auto|ADDRESS", help="Let Ray do it: one of its own, or a cluster."),
    ] = None,
) -> None:
    """Write a table with every face of an archive and which expression it appears to show.

    A row is a face; a picture without one has a single row with face 0. Files that cannot be read are skipped and
    listed, with their reasons, in FILE.bad.jsonl. Stopped or killed, the same command goes on where it was. What is
    told is how a face looks, not what a person feels.
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
    _tell(summary, out)
    if not summary.pictures:
        raise typer.Exit(1)


def _tell(summary: Summary, out: Path) -> None:
    from mien.core.text import printable
    from mien.inference.archive.run import bad_list

    alone = f", {summary.without_face:,} without a face" if summary.without_face else ""
    typer.echo(f"{printable(str(out))}: {summary.pictures:,} pictures{alone}; {summary.faces:,} faces")
    if summary.faces:
        shares = ", ".join(f"{name} {count / summary.faces:.1%}" for name, count in summary.labels.most_common())
        typer.echo(f"share of faces that appear to show: {shares}")
    if summary.bad:
        typer.echo(f"{summary.bad:,} files could not be read: {printable(str(bad_list(out)))} tells why", err=True)


@contextmanager
def _progress(stop: Callable[[], bool]) -> Iterator[Watcher]:
    """Show pictures a second and the time left on standard error: a bar, or a line a minute where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mien.inference.archive.run import Watcher

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Watcher(advance=Lines().advance, stop=stop)
        return
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console, transient=True, speed_estimate_period=120) as progress:
        task = progress.add_task("seeking pictures", total=None, count="")
        rate = Rate()

        def advance(done: int, total: int) -> None:
            count = f"{done:,} of {total:,}  {rate.of(done):,.0f} pictures/s"
            progress.update(task, description="annotating", completed=done, total=total, count=count)

        yield Watcher(lambda n: progress.update(task, count=f"{n:,} found"), advance, stop)


class Rate:
    """Pictures a second since the first call, which may count those of an earlier run."""

    def __init__(self) -> None:
        self._start = self._first = -1.0

    def of(self, done: int) -> float:
        """Return the rate, 0 at first."""
        if self._first < 0:
            self._start, self._first = time.monotonic(), done
        return (done - self._first) / max(time.monotonic() - self._start, 1e-9)


class Lines:
    """Progress for a log: where it goes on, and then a line a minute."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._next = 0.0

    def advance(self, done: int, total: int) -> None:
        """Say how far it is, if it is time."""
        rate = self._rate.of(done)
        if not self._next and done:
            typer.echo(f"{done:,} of {total:,} pictures were done before; going on", err=True)
        elif self._next and time.monotonic() >= self._next:
            left = f", {(total - done) / rate / 60:.0f} minutes left" if rate else ""
            typer.echo(f"{done:,} of {total:,} pictures, {rate:,.0f} a second{left}", err=True)
        else:
            self._next = self._next or time.monotonic() + SECONDS_BETWEEN_LINES
            return
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES
