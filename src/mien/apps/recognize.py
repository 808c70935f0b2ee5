"""`mien recognize`: the apparent expression of every face in images, videos and cameras."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.apps.failures import Failures
from mien.apps.hints import check_save_folder
from mien.apps.options import DetectorName, KeepAll, ModelName, Threads, ViewsName
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.streams import write_utf8

if TYPE_CHECKING:
    from mien.inference.recognizer import Recognizer


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
    views: ViewsName = "one",
    all_frames: Annotated[
        bool, typer.Option("--all-frames", help="Images: all frames of animations and pages of documents.")
    ] = False,
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
    stderr; the others are processed, and the exit code is 1. Other files in folders are counted on stderr. An image
    without a face is not an error. Ctrl-C ends the run after the current image or frame; what is printed and saved
    until then is complete.
    """
    from mien.inference.video.sources import expand_video, is_video

    check_save_folder(save, "csv json")
    load_plugin_files(plugin)
    if format == "csv":
        write_utf8()
    failures = Failures()
    load = partial(_load, model, detector, threads, provider, use_rejection=not keep_all, views=views)
    stopped = 0
    if any(is_video(source) for source in sources):
        from mien.apps.recognize_video import VideoOptions, recognize_videos
        from mien.core.errors import ImageError
        from mien.inference.video import StreamSettings

        if images := [source for source in sources if not is_video(source)]:
            raise ImageError(f"{images[0]} is not a video, but others are; name images and videos in two commands.")
        settings = StreamSettings(detect_every, smoothing=smoothing, time_constant=time_constant)
        options = VideoOptions(format, save, not no_video, threads)
        videos = failures.expand(sources, expand_video)
        stopped = recognize_videos(videos, load(), settings, options, failures.add) if videos else 0
    elif paths := failures.expand_images(sources):
        from mien.apps.recognize_images import ImageRun

        stopped = ImageRun(load(), paths, save, failures, all_frames=all_frames).print_results(format)
    if stopped:
        raise typer.Exit(128 + stopped)
    failures.finish()


def _load(  # noqa: PLR0913 - the options
    model: str, detector: str, threads: int, provider: str, *, use_rejection: bool, views: str
) -> Recognizer:
    """Load the network and the detector, and limit OpenCV to the given threads."""
    import cv2

    from mien.inference.model import OnnxModel
    from mien.inference.recognizer import Recognizer

    cv2.setNumThreads(threads)
    network = OnnxModel.load(model, threads, provider)
    return Recognizer(network, detector, use_rejection=use_rejection, views=views)
