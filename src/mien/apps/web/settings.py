"""What a server is told when it starts: where it listens, what it offers, and how much it takes."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from mien.core.errors import MienError
from mien.core.hardware import available_cores

KEY_VARIABLE = "MIEN_API_KEY"
SHORTEST_KEY = 16
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class ServerLimits:
    """How much one request, one client and all of them together may cost.

    Attributes:
        places: Requests that may be worked on or wait at a time; more get 429. 0: two a core, which keeps the
            wait within about four times what an unloaded server takes.
        body_bytes: The largest body of `POST /v1/recognize`.
        video_bytes: The largest body of `POST /v1/recognize/video`.
        pending_bytes: All bodies that are held in memory at a time; more get 429.
        pictures: Pictures in one request.
        pixels: Pixels of one picture, checked before decoding.
        faces: Faces of one picture; of more, those that the detector is surest of.
        videos: Videos that are worked on at a time.
        video_frames: Frames of one video; the answer ends there.
        frame_bytes: The largest picture of the WebSocket.
        frame_pixels: Pixels of one picture of the WebSocket and of one frame of a video.
        live_clients: WebSocket clients at a time.
        connections: Open connections at a time.
    """

    places: int = 0
    body_bytes: int = 32 * 2**20
    video_bytes: int = 128 * 2**20
    pending_bytes: int = 384 * 2**20
    pictures: int = 16
    pixels: int = 25_000_000
    faces: int = 100
    videos: int = 1
    video_frames: int = 9000
    frame_bytes: int = 2 * 2**20
    frame_pixels: int = 8_300_000
    live_clients: int = 16
    connections: int = 256


@dataclass(frozen=True)
class Times:
    """How long the server waits, in seconds.

    Attributes:
        header: For the whole header of a request.
        body: For the whole body of a request.
        body_grace: A body may come as slowly as it likes for so long ...
        body_rate: ... and must then have brought so many bytes a second.
        answer: For a place among the workers and the answer.
        idle: For the next message of a WebSocket client.
        drain: After SIGTERM, until no more connections are taken: `/readyz` says 503 meanwhile.
        finish: For requests that are still worked on after that.
    """

    header: float = 5.0
    body: float = 60.0
    body_grace: float = 1.5
    body_rate: float = 16 * 2**10
    answer: float = 30.0
    idle: float = 60.0
    drain: float = 1.0
    finish: float = 30.0


@dataclass(frozen=True)
class BatchSettings:
    """How faces of several requests become one forward pass: up to `faces`, waiting at most `wait` seconds.

    `faces` = 1 means that nothing is batched. `passes` are made at a time (0: as many as there are cores).
    """

    faces: int = 32
    wait: float = 0.001
    passes: int = 0

    @property
    def pass_count(self) -> int:
        """The forward passes of one model that are made at a time."""
        return self.passes or available_cores()


@dataclass(frozen=True)
class Offer:
    """What is loaded when the server starts; the first of each is what a client gets who names none.

    `workers` threads decode pictures and find faces (0: two a core), and a network uses `threads`.
    """

    models: tuple[str, ...] = ("default",)
    detectors: tuple[str, ...] = ("auto", "haar", "none")
    workers: int = 0
    threads: int = 1


@dataclass(frozen=True)
class ServerSettings:
    """Everything a server is told; see `check`."""

    host: str = "127.0.0.1"
    port: int = 8000
    key: str | None = field(default=None, repr=False)
    use_open_access: bool = False
    allowed_hosts: tuple[str, ...] = ()
    offer: Offer = Offer()
    limits: ServerLimits = ServerLimits()
    times: Times = Times()
    batches: BatchSettings = BatchSettings()

    def __post_init__(self) -> None:
        if not self.is_loopback and self.key is None and not self.use_open_access:
            raise MienError(
                f"{self.host} can be reached from other machines, and there is no key: "
                f"name a file with --api-key-file (or set {KEY_VARIABLE}), or say --insecure."
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
    def known_hosts(self) -> frozenset[str] | None:
        """What the `Host` header may name, without the port; None: anything.

        On the loopback address a name of elsewhere means that a web page has pointed its own name here (DNS
        rebinding), to be allowed to read the answers. Elsewhere too this machine's own names are known, by which it
        asks after its health.
        """
        if not self.is_loopback and not self.allowed_hosts:
            return None
        names = (*self.allowed_hosts, *LOOPBACK_NAMES, *((self.host,) if self.is_loopback else ()))
        return frozenset(name.lower() for name in names)

    @property
    def worker_count(self) -> int:
        """The threads that decode pictures and find faces."""
        return self.offer.workers or 2 * available_cores()

    @property
    def place_count(self) -> int:
        """The requests that may be worked on or wait at a time."""
        return self.limits.places or 2 * available_cores()


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
    if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable():
        raise MienError(f"{source} holds no usable key; expected one line of {SHORTEST_KEY} or more ASCII characters.")
    return key
