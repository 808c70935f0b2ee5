"""Decode video files and network streams with PyAV, which contains FFmpeg.

PyAV gives each frame its own time (frame rates vary), distinguishes a damaged file from a complete one, and writes
H.264, which browsers play. The FFmpeg inside OpenCV does none of these well, and decodes at about the same speed.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError
from mien.inference.video.clock import VideoClock
from mien.inference.video.frames import DEFAULT_RATE, NETWORK, Frame, VideoError
from mien.inference.video.leftover import holds_another
from mien.inference.video.orientation import display_matrix, upright
from mien.inference.video.tracks import find_film, may_be_cover, no_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS = 8192 * 4320  # 8K: several frames are in memory at once
# The formats FFmpeg may recognize: containers, but no playlists, which name other files and addresses.
FILE_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,vvc,obu,av1,vc1,m4v,ivf,mjpeg,mxf,nut,gif,dv,"
    "yuv4mpegpipe"
)
FILE_OPTIONS = {"format_whitelist": FILE_FORMATS, "protocol_whitelist": "file"}
STREAM_OPTIONS = {
    "format_whitelist": "rtsp,rtp,sdp,hls,mpjpeg,mov,matroska,mpegts,flv,ogg,mjpeg,h264,hevc",
    "protocol_whitelist": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto",
    "rtsp_transport": "tcp",  # over UDP, a lost packet smears faces
}
TIMEOUT = 10.0  # seconds
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device (name a camera as camera:0)"),
    (stat.S_ISBLK, "a disk"),
)
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
        if isinstance(source, bytes):
            self.name = "The video"
            self._container = _open(BytesIO(source), self.name, FILE_OPTIONS)
        elif is_stream:
            self.name = re.sub(r"(?<=://)[^/?#]*@", "", str(source))  # without a password
            self._container = _open(str(source), self.name, STREAM_OPTIONS)
        else:
            self.name = str(source)
            _check_file(Path(source), self.name)
            self._container = _open(f"file:{source}", self.name, FILE_OPTIONS)
        try:
            self._video = self._find_video()
        except VideoError:
            self.close()
            raise
        rate = self._video.average_rate or self._video.guessed_rate
        self.rate = float(rate) if rate else None
        self._step = 1 / (self.rate or DEFAULT_RATE)
        self._clock = VideoClock(self._step, can_jump=_can_jump(self._container))
        duration = self._container.duration
        self.is_live = is_stream and duration is None
        is_alone = len(self._container.streams) == 1  # else the duration may be that of the sound
        self._seconds = duration / 1e6 if duration is not None and is_alone else None
        estimate = int(self._seconds * self.rate) if self._seconds and self.rate else None
        self.length = self._video.frames or estimate
        self.frame_pixels: int | None = self._video.codec_context.width * self._video.codec_context.height
        self._damaged = 0
        self._discarded = 0
        self._end = 0  # of the packets read so far, in bytes from the start of the file

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; see `VideoSource`. Damaged parts of a file are skipped, and reported at the end."""
        index, first, last = 0, None, 0.0
        for decoded in self._film():
            pixels = self._pixels(decoded)
            if first is None:
                first = decoded.time or 0.0
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
            for packet in self._container.demux(self._video):
                self._discarded += packet.is_discard  # outside a cut that was made without re-encoding
                self._end = max(self._end, (packet.pos or 0) + packet.size)
                self._clock.move_video(packet)
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
        matrix = display_matrix(decoded)
        return pixels if matrix is None else upright(pixels, matrix)


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


def _check_file(path: Path, name: str) -> None:
    """Raise `VideoError` for what is not a file: opening a pipe or a device may wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise VideoError(f"{name} cannot be opened ({getattr(error, 'strerror', None) or error}).") from None
    if not stat.S_ISREG(mode):
        kind = next((word for test, word in KINDS if test(mode)), "something else")
        raise VideoError(f"{name} cannot be opened: it is {kind}, not a file.")


def _can_jump(container: InputContainer) -> bool:
    """Return whether times in this format may jump, as in joined MPEG files and in network streams."""
    from av.format import Flags

    return Flags.ts_discont in Flags(container.format.flags)


def _reason(error: Exception) -> str:
    """Return FFmpeg's message without the address, which may contain a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
