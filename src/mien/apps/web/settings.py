"""What a server is started with: its address, what it loads, and how much it accepts."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from mien.core.errors import MienError
from mien.core.hardware import available_cores

KEY_VARIABLE = "MIEN_API_KEY"
MIN_KEY_LENGTH = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class ServerLimits:
    """How much one request, one client and all clients together may use.

    Attributes:
        requests: Requests in progress or waiting; more get 429. 0: two per core, which keeps the response time within
            about four times that of an idle server.
        body_bytes: Largest body of `POST /v1/recognize`.
        video_bytes: Largest body of `POST /v1/recognize/video`.
        pending_bytes: All bodies held in memory together; more get 429.
        images: Images per request.
        pixels: Pixels per image, checked before decoding.
        faces: Faces per image; the detector's best are kept.
        videos: Videos processed at the same time.
        video_frames: Frames per video; the response ends there.
        frame_bytes: Largest image of the WebSocket.
        frame_pixels: Pixels per image of the WebSocket and per frame of a video.
        live_clients: WebSocket clients at the same time.
        connections: Open connections; more get 503.
    """

    requests: int = 0
    body_bytes: int = 32 * 2**20
    video_bytes: int = 128 * 2**20
    pending_bytes: int = 384 * 2**20
    images: int = 16
    pixels: int = 25_000_000
    faces: int = 100
    videos: int = 1
    video_frames: int = 9000
    frame_bytes: int = 2 * 2**20
    frame_pixels: int = 8_300_000
    live_clients: int = 16
    connections: int = 256


@dataclass(frozen=True)
class Timeouts:
    """How long the server waits, in seconds.

    Attributes:
        header: For the header of a request.
        body: For the body of a request.
        body_grace: A body may arrive at any speed for this long ...
        body_rate: ... and must average this many bytes per second from then on.
        response: For a free worker and the result.
        idle: For the next message of a WebSocket client.
        drain: Between SIGTERM and the last new connection; `/readyz` answers 503 meanwhile.
        finish: For the requests still in progress after that.
    """

    header: float = 5.0
    body: float = 60.0
    body_grace: float = 1.5
    body_rate: float = 16 * 2**10
    response: float = 30.0
    idle: float = 60.0
    drain: float = 1.0
    finish: float = 30.0


@dataclass(frozen=True)
class BatchSettings:
    """How faces of several requests share a forward pass.

    Attributes:
        size: Most faces per forward pass; 1: no batching.
        wait: Longest wait for faces of other requests, in seconds.
        passes: Forward passes per model at the same time; 0: one per core.
    """

    size: int = 32
    wait: float = 0.001
    passes: int = 0


@dataclass(frozen=True)
class Offer:
    """What is loaded at the start; the first model and the first detector are the defaults.

    `workers` threads decode images and find faces (0: two per core), and a network uses `threads`.
    """

    models: tuple[str, ...] = ("default",)
    detectors: tuple[str, ...] = ("auto", "haar", "none")
    workers: int = 0
    threads: int = 1


@dataclass(frozen=True)
class ServerSettings:
    """All settings of a server; a public address requires a key or `allow_no_key`."""

    host: str = "127.0.0.1"
    port: int = 8000
    key: str | None = field(default=None, repr=False)
    allow_no_key: bool = False
    hosts: tuple[str, ...] = ()
    offer: Offer = Offer()
    limits: ServerLimits = ServerLimits()
    timeouts: Timeouts = Timeouts()
    batches: BatchSettings = BatchSettings()

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
        return self.offer.workers or 2 * available_cores()

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
            lines = path.read_text(encoding="utf-8").splitlines()
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
