"""Frames and what a source of frames is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError

CAMERA = "camera:"
NETWORK = ("rtsp://", "rtsps://", "http://", "https://")
DEFAULT_RATE = 25.0


class VideoError(MienError):
    """A video, camera or stream cannot be read or written, or breaks off."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video: its index from 0, its time in seconds since the first, and RGB pixels (h, w, 3)."""

    index: int
    time: float
    pixels: NDArray[np.uint8]


@runtime_checkable
class VideoSource(Protocol):
    """Yields frames in order."""

    name: str  # in results and errors
    is_live: bool  # frames arrive in real time, read or not
    rate: float | None  # frames per second, if known
    length: int | None  # number of frames, if known
    frame_pixels: int | None  # pixels per frame, if known

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; then `VideoError` if the source breaks off. Call it once."""
        ...

    def close(self) -> None:
        """Release the file, camera or connection. May be called at any time, and twice."""
        ...
