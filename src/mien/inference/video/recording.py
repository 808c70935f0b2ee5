"""Files that stay whole whatever happens: an annotated video, and lines of results."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.inference.video.decoding import import_av
from mien.inference.video.frames import DEFAULT_RATE, VideoError

TICKS = 90_000  # a second, as MPEG counts
KEY_FRAME_EVERY = 50  # frames; what is written up to the last of them survives a crash


class VideoRecorder:
    """An H.264 video in an MP4 file, each frame with its own time; without sound.

    The file grows in fragments that can be played as they are and becomes an ordinary MP4 file when it is closed, so
    that a full disk or a crash costs the last fragment and no more.
    """

    def __init__(self, path: Path, rate: float | None = None, threads: int = 1) -> None:
        """Prepare to write; the file is made with the first frame.

        Args:
            path: The file, ending in .mp4; it must not exist.
            rate: Roughly how many frames a second come.
            threads: CPU threads of the encoder.

        Raises:
            MissingExtraError: PyAV is not installed.
        """
        self._av = import_av()
        self._path = path
        self._rate = Fraction(min(max(rate or DEFAULT_RATE, 1.0), 240.0)).limit_denominator(1001)
        self._threads = threads
        self._container: Any = None
        self._video: Any = None
        self._last = -1
        self._is_broken = False

    def write(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Append a frame.

        Args:
            pixels: RGB (h, w, 3). Frames of another size than the first are stretched to it.
            time: Seconds; frames come in order.

        Raises:
            VideoError: The file cannot be written, as when the disk is full.
        """
        try:
            if self._container is None:
                self._open(pixels)
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(self._video.width, self._video.height, format="yuv420p")
            self._last = max(round(time * TICKS), self._last + 1)
            frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
            self._container.mux(self._video.encode(frame))
        except (self._av.FFmpegError, OSError) as error:
            self._fail(error)

    def close(self) -> None:
        """Finish the file; `VideoError` when that fails. A recorder without frames leaves no file."""
        if self._container is None or self._is_broken:
            return
        try:
            self._container.mux(self._video.encode())
            self._container.close()
        except (self._av.FFmpegError, OSError) as error:
            self._fail(error)
        self._container = None

    def _open(self, pixels: NDArray[np.uint8]) -> None:
        options = {"movflags": "hybrid_fragmented+frag_keyframe"}
        self._container = self._av.open(str(self._path.absolute()), "w", format="mp4", options=options)
        self._video = self._container.add_stream("libx264", rate=self._rate)
        height, width = pixels.shape[:2]
        self._video.width, self._video.height = max(width // 2 * 2, 2), max(height // 2 * 2, 2)  # H.264 halves colours
        self._video.pix_fmt = "yuv420p"
        self._video.options = {"preset": "superfast", "crf": "23", "g": str(KEY_FRAME_EVERY)}
        self._video.codec_context.thread_count = self._threads
        self._video.codec_context.time_base = Fraction(1, TICKS)

    def _fail(self, error: Exception) -> None:
        self._is_broken = True
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise VideoError(f"{self._path} cannot be written ({reason}); what it holds so far is kept.") from None


class LineFile:
    """A text file of whole lines only: each write reaches the file at once, or is taken back."""

    def __init__(self, path: Path) -> None:
        """Make the file, which must not exist; `VideoError` when that fails."""
        self._path = path
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise VideoError(f"{path} cannot be written ({error.strerror or error}).") from None
        self._size = 0

    def write(self, text: str) -> int:
        """Append text that ends with a line, and return its length; `VideoError` when there is no room."""
        data = text.encode("utf-8")
        try:
            done = 0
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            raise VideoError(
                f"{self._path} cannot be written ({error.strerror or error}); the lines before are kept."
            ) from None
        self._size += len(data)
        return len(text)

    def flush(self) -> None:
        """Do nothing: what is written is written."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
