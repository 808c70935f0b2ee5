"""`mien recognize`: the apparent expression of every face in images, videos and cameras."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from mien.apps.options import DetectorName, KeepAll, ModelName, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.core.types import ImageResult
    from mien.inference.recognizer import Recognizer

T = TypeVar("T")


def recognize(  # noqa: PLR0913, PLR0917 (the options of the command)
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images, folders (searched recursively) and globs; or videos, camera:0, rtsp:// and http(s)://.",
        ),
    ],
    model: ModelName = "default",
    detector: DetectorName = "auto",
    format: Annotated[Literal["table", "json", "csv"], typer.Option(help="How to print results.")] = "table",
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also save the images or the video here, with boxes and labels; for a video also the results, a "
            "summary and timelines.",
        ),
    ] = None,
    threads: Threads = 1,
    provider: Annotated[
        str,
        typer.Option(metavar="cpu|cuda|openvino", help="Run the network on this; cuda and openvino require an extra."),
    ] = "cpu",
    keep_all: KeepAll = False,
    plugin: PluginFiles = None,
    smoothing: Annotated[
        Literal["off", "on", "adaptive"], typer.Option(help="Videos: smooth each face's probabilities over time.")
    ] = "adaptive",
    time_constant: Annotated[
        float, typer.Option(metavar="SECONDS", help="Videos: time constant of the smoothing.")
    ] = 0.25,
    detect_every: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Videos: detect faces in every N-th frame, track them in between."),
    ] = 3,
    no_video: Annotated[
        bool, typer.Option("--no-video", help="Videos: with --save, write no annotated video.")
    ] = False,
) -> None:
    """Recognize expressions in images and videos.

    The result says how a face looks, not what a person feels. For each file that cannot be read, one line goes to
    stderr; the others are processed, and the exit code is 1. An image without a face is not an error. Ctrl-C ends a
    video or a camera early; files saved until then are complete.
    """
    from mien.inference.formats import write_results
    from mien.inference.sources import expand_source
    from mien.inference.video.sources import expand_video, is_video

    load_plugin_files(plugin)
    failures = Failures()
    load = partial(_load, model, detector, threads, provider, use_rejection=not keep_all)
    stopped = 0
    if any(is_video(source) for source in sources):
        from mien.apps.recognize_video import VideoOptions, recognize_videos
        from mien.core.errors import ImageError
        from mien.inference.video import StreamSettings

        if images := [source for source in sources if not is_video(source)]:
            raise ImageError(f"{images[0]} is not a video, but others are; name images and videos in two commands.")
        settings = StreamSettings(detect_every, smoothing=smoothing, time_constant=time_constant)
        options = VideoOptions(format, save, not no_video, threads)
        videos = expand_all(sources, expand_video, failures)
        stopped = recognize_videos(videos, load(), settings, options, failures.add) if videos else 0
    elif paths := expand_all(sources, expand_source, failures):
        recognizer = load()
        results = _results(recognizer, paths, save, failures)
        write_results(format, results, recognizer.card.labels.names, sys.stdout)
    if stopped or failures.count:
        raise typer.Exit(128 + stopped if stopped else 1)


class Failures:
    """Prints errors and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: Exception) -> None:
        """Print an error as one line on stderr, and count it."""
        from mien.core.text import one_line

        self.count += 1
        typer.echo(f"error: {one_line(error)}", err=True)


def expand_all(sources: list[str], expand: Callable[[str], list[T]], failures: Failures) -> list[T]:
    """Return what every source expands to, each once, in the order of the sources."""
    from mien.core.errors import ImageError

    found: list[T] = []
    for source in sources:
        try:
            found += expand(source)
        except ImageError as error:
            failures.add(error)
    return list(dict.fromkeys(found))


def _load(model: str, detector: str, threads: int, provider: str, *, use_rejection: bool) -> Recognizer:
    """Load the network and the detector, and limit OpenCV to the given threads."""
    import cv2

    from mien.inference.model import OnnxModel
    from mien.inference.recognizer import Recognizer

    cv2.setNumThreads(threads)
    return Recognizer(OnnxModel.load(model, threads, provider), detector, use_rejection=use_rejection)


def _results(recognizer: Recognizer, paths: list[Path], save: Path | None, failures: Failures) -> Iterator[ImageResult]:
    from mien.core.decoding import read_image
    from mien.core.errors import ImageError
    from mien.inference.draw import save_drawing

    for path in paths:
        try:
            image = read_image(path)
            result = recognizer.recognize(image, source=str(path))
            yield result
            if save is not None:
                save_drawing(image, result, save)
        except ImageError as error:
            failures.add(error)
