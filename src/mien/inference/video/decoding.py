"""Decode video files and network streams with PyAV, which contains FFmpeg.

PyAV gives each frame its own time (frame rates vary), distinguishes a damaged file from a complete one, and writes
H.264, which browsers play. The FFmpeg inside OpenCV does none of these well, and decodes at about the same speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.inference.video.clock import VideoClock
from mien.inference.video.frames import DEFAULT_RATE, NETWORK, Frame, VideoError
from mien.inference.video.leftover import holds_another
from mien.inference.video.opening import can_jump, is_endless, open_container, reason
from mien.inference.video.orientation import display_matrix, upright
from mien.inference.video.sound import Sound
from mien.inference.video.tracks import find_film, find_sound, may_be_cover, no_video

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS = 8192 * 4320  # 8K: several frames are in memory at once
# A file counts as cut off if more than this share of it is missing (containers round their durations), and more than
# these seconds (the last frame's time is its start, not its end).
TOLERANCE = 0.02
TOLERANCE_SECONDS = 0.5


class EncodedVideo:
    """A video file or network stream, decoded by FFmpeg.

    Frames are upright (rotated and mirrored as players show them) and have square pixels. Of several tracks, the
    default one is read; covers are not videos. Times continue where recordings were joined.
    """

    def __init__(self, source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> None:
        """Open a file, its content, or a stream at rtsp:// or http(s)://; a file is never read as a playlist.

        Raises:
            VideoError: The source does not exist, cannot be decoded, or has frames of more than `max_pixels`.
            MissingExtraError: PyAV is not installed.
        """
        is_stream = isinstance(source, str) and source.startswith(NETWORK)
        self._max_pixels = max_pixels
        self._file = None if is_stream else source if isinstance(source, bytes) else Path(source)
        self.name, self._container = open_container(source)
        try:
            self._video = self._find_video()
        except VideoError:
            self.close()
            raise
        rate = self._video.average_rate or self._video.guessed_rate
        self.rate = float(rate) if rate else None
        self._step = 1 / (self.rate or DEFAULT_RATE)
        self._clock = VideoClock(self._step, can_jump=can_jump(self._container))
        duration = self._container.duration
        self.is_live = is_stream and duration is None and is_endless(self._container)
        is_alone = len(self._container.streams) == 1  # else the duration may be that of the sound
        self._seconds = duration / 1e6 if duration is not None and is_alone else None
        estimate = int(self._seconds * self.rate) if self._seconds and self.rate else None
        self.length = self._video.frames or estimate
        self.frame_pixels: int | None = self._video.codec_context.width * self._video.codec_context.height
        self._damaged = 0
        self._discarded = 0
        self._end = 0  # of the packets read so far, in bytes from the start of the file
        self._sound: Sound | None = None

    def keep_sound(self) -> Sound | None:
        """Return a queue that receives the sound while frames are read, or None without sound; call it before."""
        track = find_sound(self._container, self._video)
        self._sound = None if track is None else Sound(track)
        return self._sound

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; see `VideoSource`. Damaged parts of a file are skipped, and reported at the end."""
        index, first, last = 0, None, 0.0
        for decoded in self._film():
            pixels = self._pixels(decoded)
            if first is None:
                first = decoded.time or 0.0
                if self._sound is not None:
                    self._sound.start = first
            time = last + self._step if decoded.time is None else decoded.time - first
            if index and time <= last:  # times must increase
                time = last + self._step / 100
            yield Frame(index, time, pixels)
            index, last = index + 1, time
        if index == 0:
            raise VideoError(f"{self.name} has no frame that can be decoded; it may be damaged or cut off.")
        if not self.is_live and (self._damaged or self._is_short(index, last)):
            count = f"{index:,} of {self._expected:,}" if index < self._expected else f"{index:,}"
            raise VideoError(f"{self.name} is damaged or cut off: {count} frames could be read, up to {last:.1f} s.")
        if self._file is not None and holds_another(self._file, self._end):
            unread = f"{self.name} holds another video after these {index:,} frames, which cannot be read"
            raise VideoError(f"{unread}; join such files with a video editor.")

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()

    def _find_video(self) -> VideoStream:
        video = find_film(self._container, self.name)
        pixels, limit = video.codec_context.width * video.codec_context.height, self._max_pixels
        if pixels > limit:
            raise VideoError(f"{self.name} has frames of {pixels:,} pixels; the limit is {limit:,}.")
        video.codec_context.options = {"max_pixels": str(limit)}
        video.codec_context.thread_count = 1
        return video

    @property
    def _expected(self) -> int:
        """The number of frames according to the file, without those to be discarded; 0 if the file does not say."""
        return max(self._video.frames - self._discarded, 0)

    def _is_short(self, frames: int, last: float) -> bool:
        """Return whether a file ended early."""
        if self._video.frames:
            return frames < self._expected * (1 - TOLERANCE) - 1
        if self._seconds is None or self._clock.has_jumped:
            return False
        return last < self._seconds * (1 - TOLERANCE) - TOLERANCE_SECONDS

    def _film(self) -> Iterator[VideoFrame]:
        """Yield the decoded frames, unless the only one is the cover of an audio file."""
        frames = self._decoded()
        if may_be_cover(self._container, self._video):
            start = list(islice(frames, 2))
            if len(start) == 1:
                raise no_video(self._container, self.name)
            frames = chain(start, frames)
        return frames

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        count = 0
        try:
            for packet in self._packets():
                self._discarded += packet.is_discard  # outside a cut that was made without re-encoding
                self._end = max(self._end, (packet.pos or 0) + packet.size)
                try:
                    decoded = packet.decode()
                except av.InvalidDataError:
                    self._damaged += 1
                    continue
                yield from decoded
                count += len(decoded)
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self.name} breaks off after {count:,} frames ({reason(error)}).") from None

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the video's packets, with times that continue where its clock jumps; put those of the sound aside."""
        sound = self._sound
        packets: Iterator[Any] = self._container.demux(self._video, *([] if sound is None else [sound.track]))
        for packet in packets:
            if packet.stream.type == "video":
                self._clock.move_video(packet)
                yield packet
            elif sound is not None:
                self._clock.move_sound(packet)
                sound.put(packet)
        if sound is not None:
            sound.is_complete = True

    def _pixels(self, decoded: VideoFrame) -> NDArray[np.uint8]:
        aspect = self._video.sample_aspect_ratio
        width = max(round(decoded.width * aspect), 1) if aspect else decoded.width
        if width * decoded.height > self._max_pixels:
            limit = f"the limit is {self._max_pixels:,} pixels"
            raise VideoError(f"{self.name} has a frame of {width} x {decoded.height} pixels; {limit}.")
        pixels = np.asarray(decoded.to_ndarray(format="rgb24", width=width), dtype=np.uint8)
        matrix = display_matrix(decoded)
        return pixels if matrix is None else upright(pixels, matrix)
