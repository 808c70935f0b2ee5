"""`mien recognize`: the apparent expression of every face in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mien.inference.formats import Writer
    from mien.inference.recognizer import Recognizer


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def recognize(  # noqa: PLR0913, PLR0917 (the options of the command)
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Images, folders (searched with all in them) and globs."),
    ],
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="A shipped model or an .onnx file.")] = "default",
    detector: Annotated[
        str,
        typer.Option(
            metavar="auto|haar|yunet|none",
            help="How faces are found: auto is YuNet if it is there, else Haar; none: a picture is a face.",
        ),
    ] = "auto",
    format: Annotated[Format, typer.Option(help="How results are printed.")] = Format.TABLE,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also save the pictures with boxes and labels here.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    yunet: Annotated[Path | None, typer.Option(metavar="FILE", help="YuNet's model file.")] = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="Keep boxes that the model takes for no face.")] = False,
) -> None:
    """Find the faces in pictures and say which expression each appears to show.

    What is told is how a face looks, not what a person feels. A picture that cannot be read gives one
    line on stderr and the rest goes on; the exit code is then 1. No face found is a result, not an error.
    """
    import cv2

    from mien.inference.formats import create_writer
    from mien.inference.recognizer import Recognizer

    failures = Failures()
    paths = list(_paths(sources, failures))
    if not paths:  # all said already; nothing needs to be loaded
        raise typer.Exit(1)
    cv2.setNumThreads(threads)
    recognizer = Recognizer(model, detector, threads, yunet=yunet, use_rejection=not keep_all)
    writer = create_writer(format.value, recognizer.card.labels.names)
    for path in paths:
        _recognize_one(recognizer, path, writer, save, failures)
    writer.finish()
    if failures.count:
        raise typer.Exit(1)


class Failures:
    """Tells of what could not be read, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: Exception) -> None:
        """Print one line on stderr."""
        self.count += 1
        typer.echo(f"error: {error}", err=True)


def _paths(sources: list[str], failures: Failures) -> Iterator[Path]:
    """Yield every picture once, in the order of the sources."""
    from mien.core.errors import ImageError
    from mien.inference.sources import expand_source

    seen: set[Path] = set()
    for source in sources:
        try:
            paths = expand_source(source)
        except ImageError as error:
            failures.add(error)
            continue
        yield from (path for path in paths if path not in seen)
        seen.update(paths)


def _recognize_one(recognizer: Recognizer, path: Path, writer: Writer, save: Path | None, failures: Failures) -> None:
    from mien.core.errors import ImageError
    from mien.core.image import read_image
    from mien.inference.draw import save_drawing

    try:
        image = read_image(path)
        result = recognizer.recognize(image, source=str(path))
        writer.write(result)
        if save is not None:
            save_drawing(image, result, save)
    except ImageError as error:
        failures.add(error)
