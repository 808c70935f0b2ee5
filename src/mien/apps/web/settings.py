"""What a server is started with: its address, what it loads, and how much it accepts."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from mien.core.errors import MienError
from mien.core.hardware import available_cores
from mien.core.text import read_text

KEY_VARIABLE = "MIEN_API_KEY"
MIN_KEY_LENGTH = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class ServerLimits:
    """How much one request, one client and all clients together may use."""

    requests: int = 0  # in progress or waiting, more get 429; 0: two per core, at most about 4 times the idle delay
    body_bytes: int = 32 * 2**20  # of `POST /v1/recognize`
    video_bytes: int = 128 * 2**20  # of `POST /v1/recognize/video`
    pending_bytes: int = 384 * 2**20  # all bodies held in memory together; more get 429
    pixels: int = 25_000_000  # per image, checked before decoding
    video_frames: int = 9000  # the response ends there
    frame_bytes: int = 2 * 2**20  # per image of the WebSocket
    frame_pixels: int = 8_300_000  # per image of the WebSocket and per frame of a video
    live_clients: int = 16  # of the WebSocket, at the same time


@dataclass(frozen=True)
class Timeouts:
    """How long the server waits, in seconds."""

    header: float = 5.0  # for the header of a request
    body: float = 60.0  # for the body of a request
    body_grace: float = 1.5  # a body may arrive at any speed for this long,
    body_rate: float = 16 * 2**10  # and must average this many bytes per second from then on
    response: float = 30.0  # for a free worker and the result
    idle: float = 60.0  # for the next message of a WebSocket client
    drain: float = 1.0  # between SIGTERM and the last new connection; `/readyz` answers 503 meanwhile


@dataclass(frozen=True)
class ServerSettings:
    """All settings of a server; a public address requires a key or `allow_no_key`."""

    host: str = "127.0.0.1"
    port: int = 8000
    key: str | None = field(default=None, repr=False)
    allow_no_key: bool = False
    hosts: tuple[str, ...] = ()
    models: tuple[str, ...] = ("default",)  # the first is the default
    detectors: tuple[str, ...] = ("auto", "none")  # the first is the default
    workers: int = 0  # threads that decode images and find faces; 0: two per core
    threads: int = 1  # CPU threads per forward pass
    batch: int = 32  # most faces per forward pass
    limits: ServerLimits = ServerLimits()
    timeouts: Timeouts = Timeouts()

    def __post_init__(self) -> None:
        if not self.is_loopback and self.key is None and not self.allow_no_key:
            raise MienError(
                f"{self.host} can be reached from other machines, and there is no API key: "
                f"pass --api-key-file (or set {KEY_VARIABLE}), or allow access without a key with --insecure."
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def allowed_hosts(self) -> list[str]:
        """Names that the `Host` header may have, without the port; `*`: any.

        On the loopback address, another name means that a web page has pointed its own domain here to read the
        responses (DNS rebinding).
        """
        if not self.is_loopback and not self.hosts:
            return ["*"]
        return [*self.hosts, *LOOPBACK_NAMES, *([self.host] if self.is_loopback else [])]

    @property
    def worker_count(self) -> int:
        """Threads that decode images and find faces."""
        return self.workers or 2 * available_cores()

    @property
    def request_limit(self) -> int:
        """Requests in progress or waiting."""
        return self.limits.requests or 2 * available_cores()


def read_key(path: Path | None) -> str | None:
    """Return the API key: the first line of a file, else the environment variable MIEN_API_KEY, else None.

    Raises:
        MienError: The file cannot be read, or the key is shorter than 16 characters or not ASCII.
    """
    if path is not None:
        try:
            lines = read_text(path).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise MienError(f"{path}: the API key cannot be read ({reason}).") from None
        key, source = (lines[0].strip() if lines else ""), str(path)
    elif KEY_VARIABLE in os.environ:
        key, source = os.environ[KEY_VARIABLE].strip(), KEY_VARIABLE
    else:
        return None
    if len(key) < MIN_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise MienError(f"{source} has no usable key; expected one line of {MIN_KEY_LENGTH} or more ASCII characters.")
    return key
