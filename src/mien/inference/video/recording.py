"""Files that stay readable after a crash or on a full disk: an annotated video, and lines of results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.inference.video.decoding import import_av
from mien.inference.video.frames import DEFAULT_RATE, VideoError

TICKS = 90_000  # per second, as in MPEG
KEY_FRAME_EVERY = 50  # frames; a crash costs the frames since the last key frame


class VideoRecorder:
    """Writes an H.264 video to an MP4 file, each frame with its own time, without sound.

    The file grows in playable fragments and becomes an ordinary MP4 file when closed, so a full disk or a crash costs
    only the last fragment.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Prepare to write with this number of CPU threads; the first frame creates the file."""
        self._av = import_av()
        self._path = path
        self._threads = threads
        self._container: Any = None
        self._video: Any = None
        self._last = -1

    def write(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Append a frame, RGB (h, w, 3), at a time in seconds; `VideoError` on a full disk.

        A frame of another size than the first is stretched to it.
        """
        with self._failing():
            if self._container is None:
                self._open(pixels)
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(self._video.width, self._video.height, format="yuv420p")
            self._last = max(round(time * TICKS), self._last + 1)
            frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
            self._container.mux(self._video.encode(frame))

    def close(self) -> None:
        """Finish the file; `VideoError` if that fails. Without frames there is no file."""
        if self._container is not None:
            with self._failing():
                self._container.mux(self._video.encode())
                self._container.close()
            self._container = None

    def _open(self, pixels: NDArray[np.uint8]) -> None:
        options = {"movflags": "hybrid_fragmented+frag_keyframe"}
        self._container = self._av.open(str(self._path.absolute()), "w", format="mp4", options=options)
        self._video = self._container.add_stream("libx264", rate=round(DEFAULT_RATE))  # nominal
        height, width = pixels.shape[:2]
        self._video.width, self._video.height = max(width // 2 * 2, 2), max(height // 2 * 2, 2)  # 4:2:0 needs even
        self._video.pix_fmt = "yuv420p"
        self._video.options = {"preset": "superfast", "crf": "23", "g": str(KEY_FRAME_EVERY)}
        self._video.codec_context.thread_count = self._threads
        self._video.codec_context.time_base = Fraction(1, TICKS)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (self._av.FFmpegError, OSError) as error:
            self._container = None
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise VideoError(f"{self._path} cannot be written ({reason}); what it holds so far is kept.") from None


class LineFile:
    """A text file of complete lines only: each write reaches the file at once, or is undone."""

    def __init__(self, path: Path) -> None:
        """Create the file; `VideoError` if it exists or cannot be created."""
        self._path = path
        self._size = 0
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise VideoError(f"{path} cannot be written ({error.strerror or error}).") from None

    def write(self, text: str) -> None:
        """Append complete lines; `VideoError` on a full disk."""
        data = text.encode("utf-8")
        try:
            done = 0
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            reason = error.strerror or error
            raise VideoError(f"{self._path} cannot be written ({reason}); earlier lines are kept.") from None
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
