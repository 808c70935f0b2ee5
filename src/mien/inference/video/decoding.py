"""Video files and network streams, decoded by PyAV, which carries FFmpeg.

PyAV gives each frame's own time (frame rates vary), tells a damaged file from one that has ended, and writes H.264,
which browsers play; the FFmpeg inside OpenCV does none of these well, at about the same decoding speed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError
from mien.core.image import Limits
from mien.inference.video.frames import DEFAULT_RATE, NETWORK, Frame, VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LIMITS = Limits(max_pixels=8192 * 4320)  # 8K: several frames are in memory at once
# What FFmpeg may take a file for: containers only, no playlists, which name other files and addresses.
FILE_FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,ivf,mjpeg,mxf,nut,gif,yuv4mpegpipe"
STREAM_FORMATS = "rtsp,rtp,sdp,hls,mpjpeg,mov,matroska,mpegts,flv,ogg,mjpeg,h264,hevc"
STREAM_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"
SECONDS_TO_WAIT = 10.0
# Of a file's frames, the part that may be missing before it is called cut off: containers round their durations.
SLACK = 0.02
SECONDS_OF_SLACK = 0.5  # nor is the last frame's own duration among the times
# A clock that goes back by more is another recording's, joined to the one before; by less, it is a broken one.
SECONDS_OF_ANOTHER_CLOCK = 1.0


class EncodedVideo:
    """A video file or a network stream, decoded by FFmpeg.

    Frames come upright (a phone's rotation is obeyed) and with square pixels.
    """

    def __init__(self, source: str | Path, limits: Limits = LIMITS, threads: int = 1) -> None:
        """Open a file, or a stream at rtsp://, http:// or https://.

        Args:
            source: The file or the address. A file is never taken for an address or a playlist.
            limits: Of these, `max_pixels` is what one frame may have, checked before decoding.
            threads: CPU threads of the decoder.

        Raises:
            VideoError: See `open_video`.
        """
        is_stream = isinstance(source, str) and source.startswith(NETWORK)
        self.name = _without_password(str(source)) if is_stream else str(source)
        self._limits = limits
        self._container = _open_stream(str(source), self.name) if is_stream else _open_file(Path(source))
        try:
            self._video = self._find_video(threads)
        except VideoError:
            self.close()
            raise
        rate = self._video.average_rate or self._video.guessed_rate
        self.rate = float(rate) if rate else None
        self.is_live = is_stream and self._container.duration is None
        self._seconds = self._duration()
        known = self._video.frames or None
        self.length = known or (int(self._seconds * self.rate) if self._seconds and self.rate else None)
        self.frame_pixels: int | None = self._video.codec_context.width * self._video.codec_context.height
        self._damaged = 0
        self._hidden = 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; see `VideoSource`. Damaged places of a file are left out, and told of at the end."""
        index, first, last = 0, None, 0.0
        step = 1 / (self.rate or DEFAULT_RATE)
        for picture in self._decoded():
            pixels = self._pixels(picture)
            if first is None:
                first = picture.time or 0.0
            at = last + step if picture.time is None else picture.time - first
            if index and at <= last:  # time must not turn back
                is_another = picture.time is not None and at < last - SECONDS_OF_ANOTHER_CLOCK
                at = last + (step if is_another else step / 100)
                first = picture.time - at if is_another else first
            yield Frame(index, at, pixels)
            index, last = index + 1, at
        if index == 0:
            raise VideoError(f"{self.name} holds no picture that can be decoded; is it damaged or cut off?")
        if not self.is_live and (self._damaged or self._is_short(index, last)):
            told = f"{index:,} of {self._shown:,}" if index < self._shown else f"{index:,}"
            raise VideoError(f"{self.name} is damaged or cut off: {told} frames could be read, up to {last:.1f} s.")

    def close(self) -> None:
        """Close the file or the connection."""
        self._container.close()

    def _find_video(self, threads: int) -> VideoStream:
        if not self._container.streams.video:
            kinds = sorted({stream.type for stream in self._container.streams})
            raise VideoError(f"{self.name} has no pictures, only {' and '.join(kinds) or 'an empty container'}.")
        video = self._container.streams.video[0]
        if video.codec_context is None:
            raise VideoError(f"{self.name} is coded in a way that FFmpeg cannot decode; convert it to H.264.")
        pixels = video.codec_context.width * video.codec_context.height
        if pixels > self._limits.max_pixels:
            raise VideoError(
                f"{self.name} has {pixels:,} pixels a frame; at most {self._limits.max_pixels:,} are read."
            )
        video.codec_context.options = {"max_pixels": str(self._limits.max_pixels)}
        video.codec_context.thread_count = threads
        return video

    def _duration(self) -> float | None:
        """Return how many seconds the file says the pictures last."""
        is_alone = len(self._container.streams) == 1  # else the duration may be the sound's
        return self._container.duration / 1e6 if self._container.duration is not None and is_alone else None

    @property
    def _shown(self) -> int:
        """The frames that the file says it holds, without those met so far that it hides; 0 where it does not say."""
        return max(self._video.frames - self._hidden, 0)

    def _is_short(self, frames: int, last: float) -> bool:
        """Tell whether a file ended before its own end."""
        if self._video.frames:
            return frames < self._shown * (1 - SLACK) - 1
        return self._seconds is not None and last < self._seconds * (1 - SLACK) - SECONDS_OF_SLACK

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        done = 0
        try:
            for packet in self._container.demux(self._video):
                self._hidden += packet.is_discard  # before or after a cut that was made without coding anew
                try:
                    pictures = packet.decode()
                except av.InvalidDataError:
                    self._damaged += 1
                    continue
                yield from pictures
                done += len(pictures)
        except (av.FFmpegError, OSError) as error:
            reason = f"after {done:,} frames ({_reason(error)})"
            raise VideoError(f"{self.name} breaks off {reason}.") from None

    def _pixels(self, picture: VideoFrame) -> NDArray[np.uint8]:
        aspect = self._video.sample_aspect_ratio
        width = max(round(picture.width * aspect), 1) if aspect else picture.width
        if width * picture.height > self._limits.max_pixels:
            raise VideoError(f"{self.name}: a frame of {width} x {picture.height} pixels is too large.")
        pixels = np.asarray(picture.to_ndarray(format="rgb24", width=width), dtype=np.uint8)
        turns = round(picture.rotation / 90) % 4  # counter-clockwise
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def import_av() -> Any:
    """Import PyAV, or say how to install it."""
    try:
        import av
    except ModuleNotFoundError:
        raise MissingExtraError("Reading and writing video files", "video") from None
    return av


def _open_file(path: Path) -> InputContainer:
    if not path.exists():
        raise VideoError(f"{path}: no such file.")
    if path.is_dir():
        raise VideoError(f"{path} is a folder; expected a video file.")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes); expected a video file.")
    options = {"format_whitelist": FILE_FORMATS, "protocol_whitelist": "file"}
    return _open(f"file:{path}", str(path), options)


def _open_stream(address: str, name: str) -> InputContainer:
    options = {"format_whitelist": STREAM_FORMATS, "protocol_whitelist": STREAM_PROTOCOLS}
    if address.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # over UDP, a lost packet smears faces
    return _open(address, name, options)


def _open(address: str, name: str, options: dict[str, str]) -> InputContainer:
    av = import_av()
    try:
        container: InputContainer = av.open(address, options=options, timeout=SECONDS_TO_WAIT)
    except av.InvalidDataError:
        raise VideoError(f"{name} is not a video that FFmpeg can read, or it is cut off or damaged.") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name} cannot be opened ({_reason(error)}).") from None
    return container


def _reason(error: Exception) -> str:
    """Return what FFmpeg says, without the address, which may hold a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _without_password(address: str) -> str:
    """Return an address without the user and password that may stand in it."""
    return re.sub(r"(?<=://)[^/?#]*@", "", address)
