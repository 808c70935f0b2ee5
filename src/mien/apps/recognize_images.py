"""The part of `mien recognize` for images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from mien.apps.failures import Failures
from mien.apps.interruption import Interruption
from mien.apps.progress import image_progress
from mien.core.decoding import open_image
from mien.core.errors import ImageError
from mien.core.text import count, printable
from mien.inference.draw import save_drawing
from mien.inference.formats import result_lines
from mien.inference.recognizer import Recognizer
from mien.inference.results import ImageResult


class ImageRun:
    """Recognizes image files one after the other, and saves drawings if asked to."""

    def __init__(
        self, recognizer: Recognizer, paths: list[Path], save: Path | None, failures: Failures, *, all_frames: bool
    ) -> None:
        """Prepare to recognize files; `save` is the folder for drawings, `all_frames` means more than the first."""
        self._recognizer = recognizer
        self._paths = paths
        self._save = save
        self._failures = failures
        self._all_frames = all_frames
        self._interruption = Interruption()
        self._done = self._saved = 0
        self._several: list[ImageResult] = []  # of files with further frames

    def print_results(self, format: str) -> int:
        """Print results as they come; returns the number of the signal that interrupted the run, or 0."""
        screen = Console(highlight=False)
        is_table = format == "table" and screen.is_terminal
        # on a terminal, the lines of JSON and CSV show the progress themselves
        is_shown = len(self._paths) > 1 and (is_table or not screen.is_terminal)
        labels = self._recognizer.card.labels.names
        with (
            self._interruption.delayed(),
            image_progress(screen if is_table else None, is_shown=is_shown, start="") as advance,
        ):
            for line in result_lines(format, self._results(advance), labels, has_frames=self._all_frames):
                if is_table:
                    screen.print(Text(line), soft_wrap=True)
                else:
                    print(line, flush=True)
        self._report()
        return self._interruption.signal

    def _results(self, advance: Callable[[int, int | None], object]) -> Iterator[ImageResult]:
        """Yield the result of each image, or of each frame, until the run is interrupted."""
        advance(0, len(self._paths))
        for path in self._paths:
            try:
                yield from self._recognize(path)
            except ImageError as error:
                self._failures.add(error)
            self._done += 1
            advance(self._done, len(self._paths))
            if self._interruption.signal:
                break

    def _recognize(self, path: Path) -> Iterator[ImageResult]:
        file = open_image(path)
        for number, pixels in enumerate(file.frames() if self._all_frames else [file.first()]):
            (found,) = self._recognizer.classify([self._recognizer.find(pixels, str(path))])
            result = dataclasses.replace(found, frames=len(file), frame=number)
            yield result
            if self._save is not None:
                save_drawing(pixels, result.faces, result.source, self._save)
                self._saved += 1
            if number == 0 and len(file) > 1:
                self._several.append(result)
            if self._interruption.signal:
                break

    def _report(self) -> None:
        """Say on stderr what was saved, and what was not done."""
        if self._saved:
            typer.echo(f"{count(self._saved, 'drawing')} saved to {printable(str(self._save))}", err=True)
        if self._several and not self._all_frames:
            one = f"{printable(self._several[0].source)} has {self._several[0].frames:,}"
            what = one if len(self._several) == 1 else f"{len(self._several)} files have several"
            typer.echo(f"note: {what} frames or pages; only the first was used (--all-frames: all).", err=True)
        if self._done < len(self._paths):
            typer.echo(f"Stopped after {self._done:,} of {len(self._paths):,} images.", err=True)
