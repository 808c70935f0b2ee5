"""Where frames come from: video files, network streams, cameras, and arrays of your own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.image import as_rgb

CAMERA = "camera:"
NETWORK = ("rtsp://", "rtsps://", "http://", "https://")
DEFAULT_RATE = 25.0


class VideoError(MienError):
    """A video, a camera or a stream cannot be read or written, or stops in the middle."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video: its number from 0, its time in seconds since the first, and RGB pixels (h, w, 3)."""

    index: int
    time: float
    pixels: NDArray[np.uint8]


class VideoSource(Protocol):
    """Gives frames in order. `frames` may be called once; `close` may be called at any time, and twice.

    `is_live`: frames come as time passes, whether or not someone keeps up. Where the source knows them, `rate` is
    frames a second, `length` the number of frames and `pixels` how many a frame has.
    """

    name: str
    is_live: bool
    rate: float | None
    length: int | None
    pixels: int | None

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; `VideoError` when the source breaks, after the frames that came before."""
        ...

    def close(self) -> None:
        """Let go of the file, the camera or the connection."""
        ...


def open_video(source: str | Path | Iterable[NDArray[Any]], *, rate: float = DEFAULT_RATE) -> VideoSource:
    """Open a source of frames.

    Args:
        source: A video file, `camera:0` (or another number), an address that starts with rtsp:// or http(s)://, or
            pictures as arrays, as in `Recognizer.recognize`.
        rate: Frames a second, where `source` is arrays.

    Raises:
        VideoError: There is no such file or camera, or it holds no pictures.
        MissingExtraError: The source needs PyAV, and it is not installed.
    """
    from mien.inference.camera import Camera
    from mien.inference.decoder import EncodedVideo

    if isinstance(source, str) and source.startswith(CAMERA):
        return Camera(source)
    if isinstance(source, str | Path):
        return EncodedVideo(source)
    return Pictures(source, rate)


class Pictures:
    """Arrays as a video: RGB or grey, as in `Recognizer.recognize`, at a steady rate."""

    name = "pictures"
    is_live = False
    pixels: int | None = None

    def __init__(self, pictures: Iterable[NDArray[Any]], rate: float = DEFAULT_RATE) -> None:
        """Take any iterable of arrays; `rate` is frames a second."""
        if not 0 < rate < float("inf"):
            raise VideoError(f"{rate} frames a second given; expected a positive number.")
        self.rate: float | None = rate
        self.length = len(pictures) if isinstance(pictures, Sized) else None
        self._step = 1 / rate
        self._pictures = pictures

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures as frames, `1 / rate` seconds apart; `ImageError` for one that is no picture."""
        for index, picture in enumerate(self._pictures):
            yield Frame(index, index * self._step, as_rgb(picture))

    def close(self) -> None:
        """Do nothing: the pictures are the caller's."""
