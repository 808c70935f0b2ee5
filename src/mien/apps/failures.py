"""Errors of single sources: one line each, while the others go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class Failures:
    """Prints errors and counts them; also collects what a search for images passes over."""

    def __init__(self) -> None:
        from mien.inference.sources import Skipped

        self.count = 0
        self.skipped = Skipped()

    def add(self, error: Exception) -> None:
        """Print an error as one line on stderr, and count it."""
        from mien.core.text import one_line

        self.count += 1
        print(f"error: {one_line(error)}", file=sys.stderr)  # a progress bar watches this, but not typer's way

    def expand(self, sources: Iterable[str], expand: Callable[[str], list[T]]) -> list[T]:
        """Return what every source expands to, each once, in the order of the sources."""
        from mien.core.errors import ImageError

        found: list[T] = []
        for source in sources:
            try:
                found += expand(source)
            except ImageError as error:
                self.add(error)
        return list(dict.fromkeys(found))

    def expand_images(self, sources: Iterable[str]) -> list[Path]:
        """Return the image files of all sources, each once; a folder that cannot be opened is an error."""
        from mien.core.errors import ImageError
        from mien.inference.sources import expand_source

        paths = self.expand(sources, lambda source: expand_source(source, self.skipped))
        for error in self.skipped.closed:
            self.add(ImageError(f"{error.filename} cannot be searched ({error.strerror})."))
        return paths

    def finish(self) -> None:
        """Say what was passed over, and end with exit code 1 if there were errors."""
        if skipped := self.skipped.describe():
            typer.echo(skipped, err=True)
        if self.count:
            raise typer.Exit(1)
