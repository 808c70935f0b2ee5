"""`mien recognize`: the apparent expression of every face in pictures, videos and cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.options import DetectorName, KeepAll, ModelName
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.recognize_video import VideoOptions, recognize_videos

if TYPE_CHECKING:
    from mien.inference.formats import Writer
    from mien.inference.recognizer import Recognizer


class Smoothing(StrEnum):
    """How a face's probabilities are smoothed over time."""

    OFF = "off"
    ON = "on"
    ADAPTIVE = "adaptive"


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def recognize(  # noqa: PLR0913, PLR0917 (the options of the command)
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Images, folders (searched with all in them) and globs; or videos, camera:0, rtsp:// and http(s)://.",
        ),
    ],
    model: ModelName = "default",
    detector: DetectorName = "auto",
    format: Annotated[Format, typer.Option(help="How results are printed.")] = Format.TABLE,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also save the pictures, or the video, with boxes and labels here; "
            "of a video also the results, a summary and a timeline.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    provider: Annotated[
        str, typer.Option(metavar="cpu|cuda|openvino", help="What runs the network; the others are extras.")
    ] = "cpu",
    keep_all: KeepAll = False,
    plugin: PluginFiles = None,
    smoothing: Annotated[
        Smoothing, typer.Option(help="Videos: smooth each face's probabilities over time.")
    ] = Smoothing.ADAPTIVE,
    time_constant: Annotated[
        float, typer.Option(metavar="SECONDS", help="Videos: time constant of the smoothing.")
    ] = 0.25,
    detect_every: Annotated[
        int, typer.Option(metavar="N", min=1, help="Videos: find faces in every N-th frame, follow them in between.")
    ] = 3,
    no_video: Annotated[
        bool, typer.Option("--no-video", help="Videos: with --save, write no annotated video.")
    ] = False,
) -> None:
    """Find the faces in pictures or videos and say which expression each appears to show.

    What is told is how a face looks, not what a person feels. What cannot be read gives one
    line on stderr and the rest goes on; the exit code is then 1. No face found is a result, not an error.
    Ctrl-C ends a video or a camera early; all that was written stays complete.
    """
    from mien.inference.video.sources import is_video

    load_plugin_files(plugin)
    failures = Failures()
    loading = Loading(model, detector, threads, provider, not keep_all)
    if any(is_video(source) for source in sources):
        from mien.inference.video import StreamSettings

        settings = StreamSettings(detect_every, smoothing=smoothing.value, time_constant=time_constant)
        options = VideoOptions(format.value, save, not no_video, threads)
        videos = _videos(sources, failures)
        stopped = recognize_videos(videos, loading.load(), settings, options, failures.add) if videos else 0
    else:
        stopped = 0
        _recognize_pictures(sources, loading, format.value, save, failures)
    if stopped or failures.count:
        raise typer.Exit(128 + stopped if stopped else 1)


@dataclass(frozen=True)
class Loading:
    """What a recogniser is made of, until one is needed."""

    model: str
    detector: str
    threads: int
    provider: str
    use_rejection: bool

    def load(self) -> Recognizer:
        """Load the network and the detector, and hold OpenCV to the threads given."""
        import cv2

        from mien.inference.model import OnnxModel
        from mien.inference.recognizer import Recognizer

        cv2.setNumThreads(self.threads)
        model = OnnxModel.load(self.model, self.threads, self.provider)
        return Recognizer(model, self.detector, self.threads, use_rejection=self.use_rejection)


class Failures:
    """Tells of what could not be read, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: Exception) -> None:
        """Print one line on stderr."""
        self.count += 1
        typer.echo(f"error: {error}", err=True)


def _recognize_pictures(
    sources: list[str], loading: Loading, format: str, save: Path | None, failures: Failures
) -> None:
    from mien.inference.formats import create_writer

    paths = list(picture_paths(sources, failures))
    if not paths:  # all said already; nothing needs to be loaded
        return
    recognizer = loading.load()
    writer = create_writer(format, recognizer.card.labels.names)
    for path in paths:
        _recognize_one(recognizer, path, writer, save, failures)
    writer.finish()


def _videos(sources: list[str], failures: Failures) -> list[str]:
    """Return every video once, in the order of the sources."""
    from mien.core.errors import ImageError
    from mien.inference.video.sources import expand_video, is_video

    pictures = [source for source in sources if not is_video(source)]
    if pictures:
        raise ImageError(f"{pictures[0]} is no video, and others are; name pictures and videos in two commands.")
    videos: list[str] = []
    for source in sources:
        try:
            videos += expand_video(source)
        except ImageError as error:
            failures.add(error)
    return list(dict.fromkeys(videos))


def picture_paths(sources: list[str], failures: Failures) -> Iterator[Path]:
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
