"""A client for `mien serve` that only requires the base installation.

```python
from mien.client import Client

with Client("http://127.0.0.1:8000") as client:
    for result in client.recognize("group.jpg", "portrait.png"):
        print(result.source, [(face.label, face.confidence) for face in result.faces])
```
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from mien.core.errors import MienError
from mien.core.types import Box, Face, FrameResult, ImageResult, TrackedFace

File = str | Path | bytes


class ServerError(MienError):
    """The server refused a request or cannot be reached; `status` is 0 without a response."""

    def __init__(self, status: int, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after = retry_after


class Client:
    """One connection to a server, opened when it is first needed. For one thread at a time."""

    def __init__(
        self, address: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout: float = 60.0, tries: int = 5
    ) -> None:
        """Set the server.

        Args:
            address: http:// or https://, host and port.
            key: The server's API key, if it requires one.
            timeout: Seconds to wait for a response.
            tries: How often a request is sent while the server is busy (429), after the pause that it asks for.

        Raises:
            ServerError: `address` is not a web address.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(0, f"'{address}' is not a web address; expected one like http://127.0.0.1:8000.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._tries = max(tries, 1)

    def recognize(self, *images: File, model: str | None = None, detector: str | None = None) -> list[ImageResult]:
        """Return one result per image, in order; each image is one request.

        Args:
            images: Paths or the contents of files.
            model: A model that the server has loaded; default: its first.
            detector: Likewise.

        Raises:
            ServerError: The server cannot read an image, refuses the request, or cannot be reached.
            OSError: A file cannot be read.
        """
        results = []
        for image in images:
            name = "image" if isinstance(image, bytes) else str(image)
            try:
                response = self._post("/v1/recognize", image, model=model, detector=detector)
            except ServerError as error:
                if error.status != 422:
                    raise
                raise ServerError(error.status, f"{name}: {error}") from None
            results.append(_image_result(json.loads(response.read())["images"][0], name))
        return results

    def recognize_video(
        self, video: File, *, model: str | None = None, detector: str | None = None, smoothing: str | None = None
    ) -> Iterator[FrameResult]:
        """Yield one result per frame while the server processes the video; read all before the next request.

        Raises:
            ServerError: As in `recognize`; or, after the results so far, the video is damaged or has more frames than
                the server processes.
        """
        response = self._post("/v1/recognize/video", video, model=model, detector=detector, smoothing=smoothing)
        try:
            for line in response:
                payload = json.loads(line)
                if payload["type"] == "error":
                    raise ServerError(payload["problem"]["status"], payload["problem"]["detail"])
                if payload["type"] == "frame":
                    yield _frame_result(payload)
                    continue
                response.read()
                if not payload["is_complete"]:
                    frames = payload["frames"]
                    raise ServerError(0, f"The server processes only {frames:,} frames of a video; this one has more.")
                return
            raise ServerError(0, f"{self._address} closed the connection before the end of the video.")
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(0, f"The connection to {self._address} broke during the video ({error}).") from None
        finally:
            if not response.isclosed():
                self.close()

    def models(self) -> dict[str, Any]:
        """Return the models, detectors and kinds of smoothing that the server offers."""
        models: dict[str, Any] = json.loads(self._ask("GET", "/v1/models").read())
        return models

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _post(self, path: str, file: File, **parameters: str | None) -> http.client.HTTPResponse:
        data = file if isinstance(file, bytes) else Path(file).read_bytes()
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self._ask("POST", f"{path}?{query}", data, "application/octet-stream")

    def _ask(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> http.client.HTTPResponse:
        """Send a request, repeatedly while the server is busy; return a response that is not a problem."""
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        for left in reversed(range(self._tries)):
            response = self._send(method, target, body, headers)
            if response.status < 400:
                return response
            problem = _problem(response)
            if problem.status != 429 or not left:
                break
            time.sleep(problem.retry_after)
        raise problem

    def _send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a request; over a new connection if the server has closed an idle one."""
        was_open = self._connection.sock is not None
        try:
            self._connection.request(method, target, body, headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ConnectionError) and self._connection.sock is not None:
                with contextlib.suppress(OSError, http.client.HTTPException):  # refused while the body was sent
                    return self._connection.getresponse()
            self.close()
            if was_open and isinstance(error, ConnectionError):
                return self._send(method, target, body, headers)
            raise ServerError(0, f"{self._address} does not answer ({error}); is `mien serve` running?") from None


def _problem(response: http.client.HTTPResponse) -> ServerError:
    body, wait = response.read(), response.headers.get("Retry-After", "")
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered {response.status} {response.reason}."
    return ServerError(response.status, detail, float(wait) if wait.isdigit() else 1.0)


def _image_result(payload: dict[str, Any], source: str) -> ImageResult:
    size = payload["image_width"], payload["image_height"]
    faces = [Face(**_face_fields(face)) for face in payload["faces"]]
    return ImageResult(source, *size, faces, tuple(payload["shares"]))


def _frame_result(payload: dict[str, Any]) -> FrameResult:
    size = payload["image_width"], payload["image_height"]
    faces = [
        TrackedFace(**_face_fields(face), track=face["track"], raw=face["raw"], is_seen=face["seen"])
        for face in payload["faces"]
    ]
    return FrameResult(payload["frame"], payload["time"], *size, faces, tuple(payload["shares"]))


def _face_fields(face: dict[str, Any]) -> dict[str, Any]:
    box = Box(face["x"], face["y"], face["width"], face["height"])
    return {"box": box, **{name: face[name] for name in ("score", "label", "probabilities")}}
