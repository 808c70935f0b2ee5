"""The half of `mien recognize` that deals with videos, cameras and streams."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, cast

import typer

if TYPE_CHECKING:
    from mien.core.types import FrameResult
    from mien.inference.recognizer import Recognizer
    from mien.inference.video.face_stream import StreamSettings
    from mien.inference.video.frames import VideoSource
    from mien.inference.video.recording import VideoRecorder
    from mien.inference.video.summary import VideoSummary
    from mien.inference.video.writers import FrameWriter

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class VideoOptions:
    """What is to be written: results in `format` to standard output and, with `save`, files into that folder."""

    format: str
    save: Path | None = None
    use_video: bool = True
    threads: int = 1


class Interruption:
    """Ctrl-C or SIGTERM, heard but not obeyed at once: the frame at hand is finished first."""

    def __init__(self) -> None:
        self.signal = 0

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen; a second signal acts as ever."""
        before = {number: signal.signal(number, self._take) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@dataclass
class Outputs:
    """Everything that takes the frames of one video; closed with `with`, whatever happened."""

    writers: list[FrameWriter] = field(default_factory=list)
    recorder: VideoRecorder | None = None
    summary_file: Path | None = None
    timeline_file: Path | None = None

    def write(self, source: str, result: FrameResult) -> None:
        """Write one frame everywhere."""
        from mien.inference.draw import draw_faces

        for writer in self.writers:
            writer.write(source, result)
        if self.recorder is not None and result.pixels is not None:
            self.recorder.write(draw_faces(result.pixels, result), result.time)

    def write_summary(self, source: str, summary: VideoSummary, frames_per_second: float) -> None:
        """Write what stands at the end; `VideoError` when there is no room for it."""
        from mien.core.text import printable
        from mien.inference.video.frames import VideoError
        from mien.inference.video.timeline import draw_timeline

        if self.summary_file is None or self.timeline_file is None:
            return
        told = {"source": printable(source), **summary.to_json(), "frames_per_second": round(frames_per_second, 1)}
        try:
            self.summary_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            self.timeline_file.write_text(draw_timeline(summary, Path(source).name), encoding="utf-8")
        except OSError as error:
            raise VideoError(f"{error.filename or self.summary_file} cannot be written ({error.strerror}).") from None


def recognize_videos(
    sources: list[str],
    recognizer: Recognizer,
    settings: StreamSettings,
    options: VideoOptions,
    fail: Callable[[Exception], None],
) -> int:
    """Recognise videos one after the other.

    Args:
        sources: Files, cameras and addresses.
        recognizer: Shared by all.
        settings: How they are gone through.
        options: What is written.
        fail: Told of each error; the next video follows.

    Returns:
        The number of the signal that stopped it, else 0.
    """
    from mien.core.errors import MienError
    from mien.inference.video.sources import open_video
    from mien.inference.video.writers import create_frame_writer

    interruption = Interruption()
    out = sys.stdout
    to_stdout = (
        [] if options.format == "table" else [create_frame_writer(options.format, recognizer.card.labels.names, out)]
    )
    with interruption.heard():
        for source in sources:
            try:
                video = open_video(source)
            except MienError as error:
                fail(error)
                continue
            _recognize_video(video, recognizer, settings, options, to_stdout, interruption, fail)
            if interruption.signal:
                break
    return interruption.signal


def _recognize_video(  # noqa: PLR0913, PLR0917
    video: VideoSource,
    recognizer: Recognizer,
    settings: StreamSettings,
    options: VideoOptions,
    to_stdout: list[FrameWriter],
    interruption: Interruption,
    fail: Callable[[Exception], None],
) -> None:
    from mien.core.errors import MienError
    from mien.inference.video.face_stream import stream_video
    from mien.inference.video.summary import VideoSummary
    from mien.inference.video.writers import print_summary, summarize

    labels = recognizer.card.labels.names
    summary = VideoSummary(labels)
    failed: list[Exception] = []
    start = time.monotonic()
    outputs = Outputs()
    try:
        with ExitStack() as stack:
            stack.callback(video.close)
            outputs = _open_outputs(video, labels, options, to_stdout, stack)
            frames = stream_video(video, recognizer, settings)
            stack.callback(frames.close)
            advance = stack.enter_context(_progress(video))
            for result in frames:
                outputs.write(video.name, result)
                summary.add(result)
                advance(result)
                if interruption.signal:
                    break
    except MienError as error:
        failed.append(error)
    summary.finish()
    seconds = time.monotonic() - start
    try:
        outputs.write_summary(video.name, summary, summary.frames / max(seconds, 1e-9))
    except MienError as error:
        failed = failed or [error]
    if options.format == "table":
        print_summary(video.name, summary, sys.stdout)
    else:
        typer.echo("\n".join(summarize(video.name, summary)), err=True)
    for failure in failed:
        fail(failure)


def _open_outputs(
    video: VideoSource, labels: tuple[str, ...], options: VideoOptions, to_stdout: list[FrameWriter], stack: ExitStack
) -> Outputs:
    from mien.inference.video.recording import LineFile, VideoRecorder
    from mien.inference.video.writers import create_frame_writer

    if options.save is None:
        return Outputs(writers=to_stdout)
    ending = ".jsonl" if options.format == "json" else ".csv"
    lines, drawn, summary, timeline = _free_names(
        options.save, _stem(video.name), (ending, ".mp4", "-summary.json", "-timeline.svg")
    )
    file = LineFile(lines)
    stack.callback(file.close)
    writer = create_frame_writer("json" if options.format == "json" else "csv", labels, cast(TextIO, file))
    recorder = None
    if options.use_video:
        recorder = VideoRecorder(drawn, video.rate, options.threads)
        stack.callback(recorder.close)
    return Outputs([*to_stdout, writer], recorder, summary, timeline)


def _stem(source: str) -> str:
    """Return a file's name without its ending, or something like `camera-0` or `rtsp-host-path`."""
    if ":" in source and not Path(source).exists():
        return re.sub(r"[^A-Za-z0-9.-]+", "-", source).strip("-.")[:80] or "stream"
    return Path(source).stem


def _free_names(folder: Path, stem: str, endings: tuple[str, ...]) -> list[Path]:
    """Return one path an ending, all with the same number where files exist: none is ever overwritten."""
    from mien.inference.video.frames import VideoError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoError(f"{folder}: results cannot be saved there ({error.strerror or error}).") from None
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        paths = [folder / f"{name}{ending}" for ending in endings]
        if not any(path.exists() for path in paths):
            return paths
        number += 1


@contextmanager
def _progress(video: VideoSource) -> Iterator[Callable[[FrameResult], None]]:
    """Show frames, frames a second and the time left on standard error, if somebody looks at it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,} frames  {task.fields[rate]}{task.fields[dropped]}"),
        TimeElapsedColumn() if video.length is None else TimeRemainingColumn(),
    ]
    start = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(Path(video.name).name, total=video.length, rate="", dropped="")

        def advance(result: FrameResult) -> None:
            done = result.index + 1 - result.dropped
            rate = f"{done / max(time.monotonic() - start, 1e-9):.0f} frames/s"
            dropped = f", {result.dropped:,} dropped" if result.dropped else ""
            progress.update(task, completed=done, rate=rate, dropped=dropped)

        yield advance
