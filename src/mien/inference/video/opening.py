"""Open a video file, its content or a network stream with FFmpeg, and nothing else: no playlist, pipe or device."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MissingExtraError
from mien.core.regular_file import check_file
from mien.inference.video.frames import NETWORK, VideoError

if TYPE_CHECKING:
    from av.container import InputContainer

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


def open_container(source: str | Path | bytes) -> tuple[str, InputContainer]:
    """Open a file, its content, or a stream at rtsp:// or http(s)://; return its name for results and errors too.

    Raises:
        VideoError: It does not exist, or is not a video that FFmpeg can read.
        MissingExtraError: PyAV is not installed.
    """
    if isinstance(source, bytes):
        return "The video", _open_address(BytesIO(source), "The video", FILE_OPTIONS)
    if isinstance(source, str) and source.startswith(NETWORK):
        name = re.sub(r"(?<=://)[^/?#]*@", "", source)  # without a password
        return name, _open_address(source, name, STREAM_OPTIONS)
    _check_file(Path(source), str(source))
    return str(source), _open_address(f"file:{source}", str(source), FILE_OPTIONS)


def import_av() -> Any:
    """Import PyAV; `MissingExtraError` says how to install it."""
    try:
        import av
    except ModuleNotFoundError:
        raise MissingExtraError("Reading and writing video files", "video") from None
    return av


def _open_address(address: str | BytesIO, name: str, options: dict[str, str]) -> InputContainer:
    av = import_av()
    try:
        container: InputContainer = av.open(address, options=options, timeout=TIMEOUT)
    except (av.InvalidDataError, av.ArgumentError):
        if options is STREAM_OPTIONS:
            hint = "download an image, and name the file"
            raise VideoError(f"{name} is not a stream of video that FFmpeg can read; {hint}.") from None
        raise VideoError(f"{name} is not a video that FFmpeg can read, or it is damaged or cut off.") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name} cannot be opened ({reason(error)}).") from None
    return container


def _check_file(path: Path, name: str) -> None:
    """Raise `VideoError` for what is not a file: opening a pipe or a device may wait for ever."""
    try:
        check_file(path)
    except OSError as error:
        raise VideoError(f"{name} cannot be opened ({error.strerror}).") from None


def can_jump(container: InputContainer) -> bool:
    """Return whether times in this format may jump, as in joined MPEG files and in network streams."""
    from av.format import Flags

    return Flags.ts_discont in Flags(container.format.flags)


def is_endless(container: InputContainer) -> bool:
    """Return whether a stream of unknown duration goes on for ever, unlike a file that a web server sends."""
    return container.size <= 0 or "hls" in container.format.name  # a playlist has a size too


def reason(error: Exception) -> str:
    """Return FFmpeg's message without the address, which may contain a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__)
