"""The part of `mien recognize` for videos, cameras and streams."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mien.apps.interruption import Interruption
from mien.apps.progress import progress_bar
from mien.core.errors import MienError
from mien.core.text import printable
from mien.core.whole_file import write_json, write_whole
from mien.inference.draw import draw_faces
from mien.inference.recognizer import Recognizer
from mien.inference.results import FrameResult
from mien.inference.video import StreamSettings, VideoError, VideoSource, open_video, stream
from mien.inference.video.decoding import EncodedVideo
from mien.inference.video.recording import LineFile, VideoRecorder
from mien.inference.video.summary import VideoSummary
from mien.inference.video.timeline import draw_timeline
from mien.inference.video.timeline_page import timeline_page
from mien.inference.video.writers import frame_text, header_text, print_summary, summarize


@dataclass(frozen=True)
class VideoOptions:
    """What to write."""

    format: str  # `table`, `json` or `csv`, to standard output
    save: Path | None = None  # the folder for result files, if any
    use_video: bool = True  # save an annotated video too
    threads: int = 1  # CPU threads of the encoder


class SavedResults:
    """The files of one video in a folder: results, summary, timeline and annotated video."""

    def __init__(self, folder: Path, video: VideoSource, labels: tuple[str, ...], options: VideoOptions) -> None:
        """Create the files; `MienError` if that fails."""
        self._format = "json" if options.format == "json" else "csv"
        results = ".jsonl" if options.format == "json" else ".csv"
        suffixes = (results, ".mp4", "-summary.json", "-timeline.svg", "-timeline.png", "-timeline.html")
        self._paths = _free_paths(folder, _stem(video.name), suffixes)
        lines, self._annotated, self._summary, *self._timeline = self._paths
        self._recorder = _recorder(self._annotated, video, options.threads) if options.use_video else None
        self._lines = LineFile(lines)
        if self._format == "csv":
            self._lines.write(header_text(labels))

    def write(self, source: str, result: FrameResult) -> None:
        """Write one frame."""
        self._lines.write(frame_text(self._format, source, result))
        if self._recorder is not None and result.pixels is not None:
            self._recorder.write(draw_faces(result.pixels, result.faces), result.time)

    def write_summary(self, source: str, summary: VideoSummary, frames_per_second: float) -> None:
        """Write summary and timelines; `VideoError` if that fails."""
        content = {"source": printable(source), **summary.to_json(), "frames_per_second": round(frames_per_second, 1)}
        try:
            write_json(self._summary, content)
            name, svg, png, page = printable(Path(source).name), *self._timeline
            drawing = draw_timeline(summary, name)
            write_whole(svg, drawing.to_svg())
            write_whole(png, drawing.to_png())
            write_whole(page, timeline_page(summary, name, self._annotated.name if self._annotated.exists() else None))
        except OSError as error:
            raise VideoError(f"{error.filename or self._summary} cannot be written ({error.strerror}).") from None

    def describe(self) -> str:
        """Say which files there are, and where."""
        names = ", ".join(path.name for path in self._paths if path.exists())
        return printable(f"saved to {self._summary.parent}: {names}")

    def remove(self) -> None:
        """Remove the file of results if there are none; the others do not exist."""
        self._lines.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish the files."""
        try:
            if self._recorder is not None:
                self._recorder.close()
        finally:
            self._lines.close()


def _recorder(path: Path, video: VideoSource, threads: int) -> VideoRecorder:
    sound = video.keep_sound() if isinstance(video, EncodedVideo) else None
    return VideoRecorder(path, threads, rate=video.rate, sound=sound)


def recognize_videos(
    sources: list[str],
    recognizer: Recognizer,
    settings: StreamSettings,
    options: VideoOptions,
    fail: Callable[[Exception], None],
) -> int:
    """Recognize the faces of videos, cameras and streams, one after the other.

    Each error is passed to `fail`, and the next video follows. Returns the number of the signal that interrupted the
    run, or 0.
    """
    interruption = Interruption()
    labels = recognizer.card.labels.names
    if options.format == "csv":
        print(header_text(labels), end="", flush=True)
    with interruption.delayed():
        for source in sources:
            try:
                with closing(open_video(source)) as video, closing(stream(video, recognizer, settings)) as frames:
                    until_signal = takewhile(lambda _: not interruption.signal, frames)
                    _write_results(video, until_signal, VideoSummary(labels), options, fail)
            except MienError as error:
                fail(error)
            if interruption.signal:
                break
    return interruption.signal


def _write_results(
    video: VideoSource,
    frames: Iterable[FrameResult],
    summary: VideoSummary,
    options: VideoOptions,
    fail: Callable[[Exception], None],
) -> None:
    """Write everything about one video; one that breaks off after its first frame gets its summary too."""
    start = time.monotonic()
    saved = SavedResults(options.save, video, summary.labels, options) if options.save is not None else None
    try:
        with ExitStack() as stack:
            if saved is not None:
                stack.enter_context(closing(saved))
            advance = stack.enter_context(_progress(video))
            for result in frames:
                if options.format != "table":
                    print(frame_text(options.format, video.name, result), end="", flush=True)
                if saved is not None:
                    saved.write(video.name, result)
                summary.add(result)
                advance(result)
    except MienError as error:
        fail(error)
    if not summary.frames:
        if saved is not None:
            saved.remove()
        return
    summary.finish()
    if options.format == "table":
        print_summary(video.name, summary)
    else:
        typer.echo("\n".join(summarize(video.name, summary)), err=True)
    if saved is not None:
        saved.write_summary(video.name, summary, summary.frames / max(time.monotonic() - start, 1e-9))
        typer.echo(saved.describe(), err=True)


def _stem(source: str) -> str:
    """Return a file's name without suffix, or a name such as `camera-0` or `rtsp-host-path`."""
    if ":" in source and not Path(source).exists():
        return re.sub(r"[^A-Za-z0-9.-]+", "-", source).strip("-.")[:80] or "stream"
    return Path(source).stem


def _free_paths(folder: Path, stem: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Return one path per suffix, with a common number if files exist: none is overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoError(f"{folder}: results cannot be saved there ({error.strerror or error}).") from None
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    choices = ([folder / f"{name}{suffix}" for suffix in suffixes] for name in names)
    return next(paths for paths in choices if not any(path.exists() for path in paths))


@contextmanager
def _progress(video: VideoSource) -> Iterator[Callable[[FrameResult], None]]:
    """Show frames, frames per second and the remaining time on standard error, if that is a terminal."""
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,} frames  {task.fields[rate]}"),
        TimeElapsedColumn() if video.length is None else TimeRemainingColumn(),
    ]
    start = time.monotonic()
    with progress_bar(*columns) as progress:
        task = progress.add_task(Path(video.name).name, total=video.length, rate="")

        def advance(result: FrameResult) -> None:
            frames = result.index + 1 - result.dropped
            rate = f"{frames / max(time.monotonic() - start, 1e-9):.0f} frames/s"
            progress.update(task, completed=frames, rate=rate)

        yield advance
