"""Files that stay readable after a crash or on a full disk: an annotated video, and lines of results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.inference.video.frames import DEFAULT_RATE, VideoError
from mien.inference.video.opening import import_av
from mien.inference.video.sound import Sound

TICKS = 90_000  # per second, as in MPEG
KEY_FRAME_EVERY = 50  # frames; a crash costs the frames since the last key frame
LAG = 2_000_000  # microseconds: how long the video waits for sound


class VideoRecorder:
    """Writes an H.264 video to an MP4 file, each frame with its own time, and the sound of the original.

    The file grows in playable fragments and becomes an ordinary MP4 file when closed, so a full disk or a crash costs
    only the last fragment.
    """

    def __init__(
        self, path: Path | BytesIO, threads: int = 1, *, rate: float | None = None, sound: Sound | None = None
    ) -> None:
        """Prepare to write; the first frame creates the file.

        Args:
            path: The file, in a folder that exists, or in memory.
            threads: CPU threads of the encoder.
            rate: The nominal frames per second, which says how long the last frame lasts; by default 25.
            sound: The original's, which is open.
        """
        self._av = import_av()
        self._file = path if isinstance(path, BytesIO) else str(path.absolute())
        self._name = "The annotated video" if isinstance(path, BytesIO) else str(path)
        self._rate = Fraction(rate or DEFAULT_RATE).limit_denominator(1001)  # 30000/1001, for one
        self._last = -1
        self._is_started = False
        self._container: Any = None
        with self._failing():
            self._container, self._video = self._prepare(threads)
            self._sound = sound
            self._track = None if sound is None else sound.add_track(self._container)

    def write(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Append a frame, RGB (h, w, 3), at a time in seconds; `VideoError` on a full disk.

        A frame of another size than the first is stretched to it.
        """
        with self._failing():
            if not self._is_started:
                self._is_started = True
                height, width = pixels.shape[:2]
                # 4:2:0 needs even sides
                self._video.width, self._video.height = max(width // 2 * 2, 2), max(height // 2 * 2, 2)
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(self._video.width, self._video.height, format="yuv420p")
            self._last = max(round(time * TICKS), self._last + 1)
            frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
            self._container.mux(self._video.encode(frame))
            self._write_sound(time)

    def close(self) -> None:
        """Finish the file; `VideoError` if that fails. Without frames there is no file."""
        if self._container is not None and self._is_started:
            with self._failing():
                self._container.mux(self._video.encode())
                is_whole = self._sound is not None and self._sound.is_complete
                self._write_sound(None if is_whole else self._last / TICKS + float(1 / self._rate))
                self._container.close()
        self._container = None

    def _prepare(self, threads: int) -> tuple[Any, Any]:
        """Return the container and its video track; the file does not exist yet."""
        options = {"movflags": "hybrid_fragmented+frag_keyframe+delay_moov", "max_interleave_delta": str(LAG)}
        container = self._av.open(self._file, "w", format="mp4", container_options=options)
        video = container.add_stream("libx264", rate=self._rate)
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "superfast", "crf": "23", "g": str(KEY_FRAME_EVERY)}
        video.codec_context.thread_count = threads
        video.codec_context.time_base = Fraction(1, TICKS)
        return container, video

    def _write_sound(self, end: float | None) -> None:
        """Append the sound up to a time in seconds, or the rest; if it cannot be written, go on without."""
        if self._sound is None or self._track is None:
            return
        try:
            for packet in self._sound.take(self._track, end):
                self._container.mux(packet)
        except (self._av.InvalidDataError, ValueError):
            self._sound = None

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (self._av.FFmpegError, OSError) as error:
            self._container = None
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise VideoError(f"{self._name} cannot be written ({reason}); what it holds so far is kept.") from None


class LineFile:
    """A text file of complete lines only: each write reaches the file at once, or is undone."""

    def __init__(self, path: Path) -> None:
        """Create the file; `VideoError` if it exists or cannot be created."""
        self.path = path
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
            raise VideoError(f"{self.path} cannot be written ({reason}); earlier lines are kept.") from None
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
