"""Decode video files and network streams with PyAV, which contains FFmpeg.

PyAV gives each frame its own time (frame rates vary), distinguishes a damaged file from a complete one, and writes
H.264, which browsers play. The FFmpeg inside OpenCV does none of these well, and decodes at about the same speed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError
from mien.inference.video.frames import DEFAULT_RATE, NETWORK, Frame, VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS = 8192 * 4320  # 8K: several frames are in memory at once
# The formats FFmpeg may recognize: containers, but no playlists, which name other files and addresses.
FILE_FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,ivf,mjpeg,mxf,nut,gif,yuv4mpegpipe"
FILE_OPTIONS = {"format_whitelist": FILE_FORMATS, "protocol_whitelist": "file"}
STREAM_OPTIONS = {
    "format_whitelist": "rtsp,rtp,sdp,hls,mpjpeg,mov,matroska,mpegts,flv,ogg,mjpeg,h264,hevc",
    "protocol_whitelist": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto",
    "rtsp_transport": "tcp",  # over UDP, a lost packet smears faces
}
TIMEOUT = 10.0  # seconds
# A file counts as cut off if more than this share of it is missing (containers round their durations), and more than
# these seconds (the last frame's time is its start, not its end).
TOLERANCE = 0.02
TOLERANCE_SECONDS = 0.5
# Times that jump back further start another recording, joined to the previous one. Smaller jumps are clock errors.
SECONDS_OF_OTHER_CLOCK = 1.0


class EncodedVideo:
    """A video file or network stream, decoded by FFmpeg.

    Frames are upright (a phone's rotation is applied) and have square pixels.
    """

    def __init__(self, source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> None:
        """Open a file, its content, or a stream at rtsp:// or http(s)://; a file is never read as a playlist.

        Raises:
            VideoError: The source does not exist, cannot be decoded, or has frames of more than `max_pixels`.
            MissingExtraError: PyAV is not installed.
        """
        is_stream = isinstance(source, str) and source.startswith(NETWORK)
        self._max_pixels = max_pixels
        if isinstance(source, bytes):
            self.name = "The video"
            self._container = _open(BytesIO(source), self.name, FILE_OPTIONS)
        elif is_stream:
            self.name = re.sub(r"(?<=://)[^/?#]*@", "", str(source))  # without a password
            self._container = _open(str(source), self.name, STREAM_OPTIONS)
        else:
            self.name = str(source)
            self._container = _open(f"file:{source}", self.name, FILE_OPTIONS)
        try:
            self._video = self._find_video()
        except VideoError:
            self.close()
            raise
        rate = self._video.average_rate or self._video.guessed_rate
        self.rate = float(rate) if rate else None
        duration = self._container.duration
        self.is_live = is_stream and duration is None
        is_alone = len(self._container.streams) == 1  # else the duration may be that of the sound
        self._seconds = duration / 1e6 if duration is not None and is_alone else None
        estimate = int(self._seconds * self.rate) if self._seconds and self.rate else None
        self.length = self._video.frames or estimate
        self.frame_pixels: int | None = self._video.codec_context.width * self._video.codec_context.height
        self._damaged = 0
        self._discarded = 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; see `VideoSource`. Damaged parts of a file are skipped, and reported at the end."""
        index, first, last = 0, None, 0.0
        step = 1 / (self.rate or DEFAULT_RATE)
        for decoded in self._decoded():
            pixels = self._pixels(decoded)
            if first is None:
                first = decoded.time or 0.0
            time = last + step if decoded.time is None else decoded.time - first
            if index and time <= last:  # times must increase
                is_other = decoded.time is not None and time < last - SECONDS_OF_OTHER_CLOCK
                time = last + (step if is_other else step / 100)
                first = decoded.time - time if is_other else first
            yield Frame(index, time, pixels)
            index, last = index + 1, time
        if index == 0:
            raise VideoError(f"{self.name} has no frame that can be decoded; it may be damaged or cut off.")
        if not self.is_live and (self._damaged or self._is_short(index, last)):
            count = f"{index:,} of {self._expected:,}" if index < self._expected else f"{index:,}"
            raise VideoError(f"{self.name} is damaged or cut off: {count} frames could be read, up to {last:.1f} s.")

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()

    def _find_video(self) -> VideoStream:
        if not self._container.streams.video:
            kinds = sorted({stream.type for stream in self._container.streams})
            raise VideoError(f"{self.name} has no video, only {' and '.join(kinds) or 'an empty container'}.")
        video = self._container.streams.video[0]
        if video.codec_context is None:
            raise VideoError(f"{self.name} has a codec that FFmpeg cannot decode; convert it to H.264.")
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
        return self._seconds is not None and last < self._seconds * (1 - TOLERANCE) - TOLERANCE_SECONDS

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        count = 0
        try:
            for packet in self._container.demux(self._video):
                self._discarded += packet.is_discard  # outside a cut that was made without re-encoding
                try:
                    decoded = packet.decode()
                except av.InvalidDataError:
                    self._damaged += 1
                    continue
                yield from decoded
                count += len(decoded)
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self.name} breaks off after {count:,} frames ({_reason(error)}).") from None

    def _pixels(self, decoded: VideoFrame) -> NDArray[np.uint8]:
        aspect = self._video.sample_aspect_ratio
        width = max(round(decoded.width * aspect), 1) if aspect else decoded.width
        if width * decoded.height > self._max_pixels:
            limit = f"the limit is {self._max_pixels:,} pixels"
            raise VideoError(f"{self.name} has a frame of {width} x {decoded.height} pixels; {limit}.")
        pixels = np.asarray(decoded.to_ndarray(format="rgb24", width=width), dtype=np.uint8)
        turns = round(decoded.rotation / 90) % 4  # counter-clockwise
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def import_av() -> Any:
    """Import PyAV; `MissingExtraError` says how to install it."""
    try:
        import av
    except ModuleNotFoundError:
        raise MissingExtraError("Reading and writing video files", "video") from None
    return av


def _open(address: str | BytesIO, name: str, options: dict[str, str]) -> InputContainer:
    av = import_av()
    try:
        container: InputContainer = av.open(address, options=options, timeout=TIMEOUT)
    except av.InvalidDataError:
        raise VideoError(f"{name} is not a video that FFmpeg can read, or it is damaged or cut off.") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name} cannot be opened ({_reason(error)}).") from None
    return container


def _reason(error: Exception) -> str:
    """Return FFmpeg's message without the address, which may contain a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
