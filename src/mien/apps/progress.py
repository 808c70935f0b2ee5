"""Progress on a terminal, without touching what is written to a file or a pipe; in a log, one line per minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 60  # of a log


def progress_bar(*columns: Any, console: Console | None = None, is_shown: bool = True) -> Progress:
    """Return a bar that disappears at the end; it is only drawn on a terminal, by default on standard error.

    Output to the same terminal is printed above the bar. Output to a file or a pipe is left alone: by default, rich
    would print it on the terminal instead.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = console or Console(stderr=True)
    return Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=sys.stderr.isatty(),
        disable=not (is_shown and console.is_terminal),
    )


@contextmanager
def image_progress(
    console: Console | None = None, *, is_shown: bool = True, start: str = "searching for images"
) -> Iterator[Callable[[int, int | None], None]]:
    """Show images per second and the time left; yields what to call with the numbers of images done and of all.

    Args:
        console: Where to show it; by default standard error.
        is_shown: Whether to show it at all.
        start: What is shown before the first numbers; a total of None says that images are still searched for.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn

    console = console or Console(stderr=True)
    began = first = next_line = 0.0

    def describe(done: int, total: int) -> str:
        nonlocal began, first
        if not began:
            began, first = time.monotonic(), done
        rate = (done - first) / max(time.monotonic() - began, 1e-9)  # of this run
        left = f", {_duration((total - done) / rate)} left" if rate else ""
        return f"{done:,} of {total:,} images, {rate:,.0f} per second{left}"

    def log(done: int, total: int | None) -> None:
        nonlocal next_line
        if total is None or time.monotonic() < next_line:
            return
        line = describe(done, total)
        if next_line:
            typer.echo(line, err=True)
        elif done:
            typer.echo(f"Continuing: {done:,} of {total:,} images are done", err=True)
        next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    if not (is_shown and console.is_terminal):
        yield log if is_shown else lambda *_: None
        return
    with progress_bar(TextColumn("{task.description}"), BarColumn(), console=console) as progress:
        task = progress.add_task(start, total=None)

        def show(done: int, total: int | None) -> None:
            text = f"searching for images: {done:,} found" if total is None else describe(done, total)
            progress.update(task, description=text, completed=done, total=total)

        yield show


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
