"""Open video files, network streams, cameras and arrays; expand globs of video files."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from cv2.utils import logging
from numpy.typing import NDArray

from mien.core.errors import ImageError
from mien.core.image import as_rgb
from mien.core.paths import AnyPath
from mien.inference.sources import is_image
from mien.inference.video.decoding import EncodedVideo
from mien.inference.video.frames import CAMERA, DEFAULT_RATE, NETWORK, Frame, VideoError, VideoSource

# What file names end with in the formats of `opening.FILE_FORMATS`, except images. Files with sound only are rejected
# when they are opened.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".psp", ".mj2", ".ism", ".ismv", ".isma"),
    *(".mkv", ".mk3d", ".webm", ".avi", ".divx", ".flv", ".wmv", ".asf", ".ogv", ".ogm", ".mxf", ".nut", ".ivf"),
    *(".ts", ".m2ts", ".m2t", ".mts", ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".m2p", ".vob", ".vro", ".mod"),
    *(".h264", ".264", ".avc", ".h26l", ".h265", ".265", ".hevc", ".h266", ".266", ".vvc", ".obu", ".vc1", ".y4m"),
    *(".mjpeg", ".mjpg", ".dv", ".dif"),
    *(".m4a", ".m4b", ".mka", ".ogg", ".oga", ".opus", ".mp3", ".wav", ".flac", ".aac", ".wma"),
)


class Camera:
    """A local camera; `camera:0` is the first. A frame's time is that of its arrival.

    OpenCV numbers cameras the same way on all systems and is in the base installation.
    """

    is_live = True
    length: int | None = None

    def __init__(self, source: str) -> None:
        """Open the camera; `VideoError` if it is absent or in use."""
        self.name = source
        number = source.removeprefix(CAMERA)
        if not number.isascii() or not number.isdigit() or len(number) > 3:
            raise VideoError(f"{source} is not a camera; expected a number, such as camera:0.")
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # the error below replaces OpenCV's messages
        try:
            self._capture = cv2.VideoCapture(int(number))
        finally:
            logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise VideoError(f"{source} cannot be opened: there is no such camera, or another program uses it.")
        self.rate: float | None = float(self._capture.get(cv2.CAP_PROP_FPS)) or None
        sides = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        self.frame_pixels: int | None = int(sides[0] * sides[1]) or None

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the camera stops, which raises `VideoError`."""
        start, index = time.monotonic(), 0
        while self._capture.isOpened():
            is_read, pixels = self._capture.read()
            if not is_read or pixels is None:
                raise VideoError(f"{self.name} stopped after {index:,} frames; it may be unplugged.")
            elapsed = time.monotonic() - start
            yield Frame(index, elapsed, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8))
            index += 1

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


class ImageSequence:
    """Arrays as a video with a constant frame rate."""

    name = "images"
    is_live = False
    frame_pixels: int | None = None

    def __init__(self, images: Iterable[NDArray[Any]], rate: float = DEFAULT_RATE) -> None:
        """Take images as for `Recognizer.recognize`; `rate` is frames per second."""
        if not 0 < rate < float("inf"):
            raise VideoError(f"The frame rate is {rate}; expected a positive number of frames per second.")
        self.rate: float | None = rate
        self.length = len(images) if isinstance(images, Sized) else None
        self._step = 1 / rate
        self._images = images

    def frames(self) -> Iterator[Frame]:
        """Yield the images as frames, `1 / rate` seconds apart; `ImageError` for an array that is not an image."""
        for index, image in enumerate(self._images):
            yield Frame(index, index * self._step, as_rgb(image))

    def close(self) -> None:
        """Do nothing: the images belong to the caller."""


def open_video(source: AnyPath | bytes | Iterable[NDArray[Any]], *, rate: float = DEFAULT_RATE) -> VideoSource:
    """Open a video file or its content, `camera:0`, a stream at rtsp:// or http(s)://, or images.

    Images are arrays as for `Recognizer.recognize`;
    `rate` is frames per second if `source` is arrays.

    Raises:
        VideoError: The file or camera does not exist, or has no video.
        MissingExtraError: The source requires PyAV, which is not installed.
    """
    if isinstance(source, str) and source.startswith(CAMERA):
        return Camera(source)
    if isinstance(source, os.PathLike):
        return EncodedVideo(Path(source))
    if isinstance(source, str | bytes):
        return EncodedVideo(source)
    if not isinstance(source, Iterable):
        raise VideoError(f'Got a video of type {type(source).__name__}; expected a path, bytes, images or "camera:0".')
    return ImageSequence(source, rate)


def is_video(source: str) -> bool:
    """Return whether a source is a camera, a network stream, or a file or glob with a video's suffix.

    The address of an image is none.
    """
    if source.startswith(NETWORK):
        return not is_image(urlsplit(source).path)
    return source.startswith(CAMERA) or source.lower().endswith(SUFFIXES)


def expand_video(source: str) -> list[str]:
    """Return what matches a glob, sorted, or any other source as it is; what is not a video is rejected when opened.

    Raises:
        ImageError: No file matches.
    """
    if source.startswith((CAMERA, *NETWORK)) or not glob.has_magic(source) or os.path.lexists(source):
        return [source]
    files = sorted(glob.iglob(source, recursive=True))  # noqa: PTH207 (absolute patterns too)
    if not files:
        raise ImageError(f"{source}: no video file matches.")
    return files
