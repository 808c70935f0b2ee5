"""A client for `mien serve`, of the standard library alone.

Example:
    >>> from mien.client import Client
    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     for result in client.recognize("group.jpg", "portrait.png"):
    ...         print(result.source, [(face.label, face.confidence) for face in result.faces])
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from mien.core.errors import MienError
from mien.core.types import Box, Face, FrameResult, ImageResult, TrackedFace

Picture = str | Path | bytes
Headers = dict[str, str]


class ServerError(MienError):
    """The server refused a request, or cannot be reached; `status` is 0 when no answer came."""

    def __init__(self, status: int, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after = retry_after


class Client:
    """One connection to a server, opened when it is first needed. For one thread at a time."""

    def __init__(
        self, address: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout: float = 60.0, tries: int = 5
    ) -> None:
        """Take a server's address.

        Args:
            address: http:// or https://, host and port.
            key: The server's API key, if it wants one.
            timeout: Seconds to wait for an answer.
            tries: How often a request is sent while the server is full (429), waiting as long as it says.

        Raises:
            ServerError: `address` is no address.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(0, f"'{address}' is no address; expected one as http://127.0.0.1:8000.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._address = address
        self._headers: Headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._tries = tries

    def recognize(self, *pictures: Picture, model: str | None = None, detector: str | None = None) -> list[ImageResult]:
        """Return one result a picture, in order.

        Args:
            pictures: Files or their bytes; at most as many as the server takes at once (by default 16).
            model: A model that the server has loaded; by default its first.
            detector: Likewise.

        Raises:
            ServerError: The server cannot read a picture, refuses the request, or cannot be reached.
            OSError: A file cannot be read.
        """
        body, content_type = _form("images", pictures)
        target = _target("/v1/recognize", model=model, detector=detector)
        told = json.loads(self._ask("POST", target, body, content_type).read())
        return [_image_result(image) for image in told["images"]]

    def recognize_video(
        self, video: Picture, *, model: str | None = None, detector: str | None = None, smoothing: str | None = None
    ) -> Iterator[FrameResult]:
        """Yield one result a frame, while the server works on the video; read all of them before the next request.

        Raises:
            ServerError: As in `recognize`; or the video breaks in the middle, or has more frames than the server reads:
                after the results of all frames before.
        """
        data = video if isinstance(video, bytes) else Path(video).read_bytes()
        target = _target("/v1/recognize/video", model=model, detector=detector, smoothing=smoothing)
        answer = self._ask("POST", target, data, "application/octet-stream")
        try:
            for line in answer:
                told = json.loads(line)
                if told["type"] == "end":
                    answer.read()
                    if not told["is_whole"]:
                        raise ServerError(
                            0, f"The server reads {told['frames']:,} frames of a video; this one has more."
                        )
                    return
                if told["type"] == "error":
                    raise ServerError(told["problem"]["status"], told["problem"]["detail"])
                yield _frame_result(told)
            raise ServerError(0, f"{self._address} broke off in the middle of the video.")
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(0, f"{self._address} broke off in the middle of the video ({error}).") from None
        finally:
            if not answer.isclosed():
                self.close()

    def models(self) -> dict[str, Any]:
        """Return the models, detectors and kinds of smoothing that the server offers."""
        return cast(dict[str, Any], json.loads(self._ask("GET", "/v1/models").read()))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> http.client.HTTPResponse:
        """Send a request, again while the server is full; return an answer that is no problem."""
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        for left in reversed(range(self._tries)):
            answer = self._send(method, target, body, headers)
            if answer.status < 400:
                return answer
            problem = _problem(answer)
            if problem.status != 429 or left == 0:
                raise problem
            time.sleep(problem.retry_after)
        raise ServerError(0, f"tries is {self._tries}; expected 1 or more.")

    def _send(self, method: str, target: str, body: bytes, headers: Headers) -> http.client.HTTPResponse:
        """Send a request; when the server has closed a connection that was idle, over a new one."""
        was_open = self._connection.sock is not None
        try:
            self._connection.request(method, target, body, headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ConnectionError) and self._connection.sock is not None:
                with contextlib.suppress(OSError, http.client.HTTPException):  # refused while the body was being sent
                    return self._connection.getresponse()
            self.close()
            if was_open and isinstance(error, ConnectionError):
                return self._send(method, target, body, headers)
            raise ServerError(0, f"{self._address} does not answer ({error}); is `mien serve` running?") from None


def _target(path: str, **words: str | None) -> str:
    given = urlencode({name: word for name, word in words.items() if word is not None})
    return f"{path}?{given}" if given else path


def _form(name: str, pictures: tuple[Picture, ...]) -> tuple[bytes, str]:
    """Return a form with one file each (RFC 7578), and its Content-Type."""
    boundary = secrets.token_hex(16)
    parts = []
    for number, picture in enumerate(pictures):
        data, file = (picture, f"{name}[{number}]") if isinstance(picture, bytes) else _read(Path(picture))
        shown = "".join(c if c.isprintable() and c not in '"\\' else "_" for c in file)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{shown}"\r\n\r\n'
        parts += [head.encode("utf-8", "replace"), data, b"\r\n"]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _read(path: Path) -> tuple[bytes, str]:
    return path.read_bytes(), path.name


def _problem(answer: http.client.HTTPResponse) -> ServerError:
    body, wait = answer.read(), answer.headers.get("Retry-After", "")
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered {answer.status} {answer.reason}."
    return ServerError(answer.status, detail, float(wait) if wait.isdigit() else 1.0)


def _box(face: dict[str, Any]) -> Box:
    return Box(face["x"], face["y"], face["width"], face["height"])


def _image_result(told: dict[str, Any]) -> ImageResult:
    faces = [Face(_box(f), f["score"], f["label"], f["probabilities"]) for f in told["faces"]]
    size = told["image_width"], told["image_height"]
    return ImageResult(told["source"], *size, faces, tuple(told["shares"]), told["rejected"])


def _frame_result(told: dict[str, Any]) -> FrameResult:
    faces = [
        TrackedFace(
            box=_box(f),
            score=f["score"],
            label=f["label"],
            probabilities=f["probabilities"],
            track=f["track"],
            raw=f["raw"],
            is_seen=f["seen"],
        )
        for f in told["faces"]
    ]
    size = told["image_width"], told["image_height"]
    return FrameResult(told["frame"], told["time"], *size, faces, tuple(told["shares"]))
