"""`WS /v1/live`: answers each image of a client's camera with its faces.

The client begins with a text message `{"type": "start", "settings": {...}}`; it adds `"key"` if the server requires one
and the handshake had none. Then each binary message is one image: the client's time in milliseconds as a 64-bit
big-endian float, and a JPEG, PNG or WebP file. Messages are answered in order, and the server reads the next one only
after its answer: to get results without delay, a client must wait for each answer before it sends the next image.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import struct
import time
from typing import Any, Literal

from fastapi import APIRouter, WebSocket
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from mien.apps.web.engine import Engine
from mien.apps.web.names import refuse_unknown
from mien.apps.web.problems import ProblemError, as_problem
from mien.apps.web.schemas import StreamOptions
from mien.apps.web.security import check_key
from mien.core.decoding import Limits, decode_image
from mien.inference.results import FrameResult
from mien.inference.video.face_stream import FaceStream

logger = logging.getLogger(__name__)

router = APIRouter()
HEADER = struct.Struct(">d")
SECONDS_TO_START = 10.0
# Close codes (RFC 6455, 7.4.1; 1013: IANA's registry).
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013


class TextMessage(BaseModel):
    """A client's text message."""

    model_config = ConfigDict(extra="allow")  # refused by `read`, which names it

    type: Literal["start", "settings"]
    settings: dict[str, Any] = {}
    key: str | None = None

    @classmethod
    def read(cls, text: str) -> TextMessage:
        """Return a message; `ValidationError` or `ProblemError` if it is not one."""
        message = cls.model_validate_json(text)
        refuse_unknown("name in a message", message.model_extra or (), tuple(cls.model_fields))
        return message


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """Serve one client until it leaves, sends nothing for a while, or fails to start."""
    engine: Engine = socket.app.state.engine
    try:
        if socket.query_params:
            raise ProblemError("invalid", "The WebSocket takes no query; send settings in the first message.")
        with engine.live.share() as take:
            take(1)
            await socket.accept()
            await Conversation(engine, socket).run()
    except (ProblemError, ValidationError) as error:
        problem = as_problem(error)
        if socket.client_state is WebSocketState.CONNECTING:
            await socket.send_denial_response(problem.response())
            return
        code = TRY_AGAIN_LATER if problem.status in (429, 503) else POLICY_VIOLATION
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(_error(problem))
            await socket.close(code, problem.kind)
    except (WebSocketDisconnect, RuntimeError):  # the client has left, perhaps while a message was sent
        return


class Conversation:
    """The exchange with one client: its settings and its tracked faces."""

    def __init__(self, engine: Engine, socket: WebSocket) -> None:
        self._engine = engine
        self._socket = socket
        self._last_time = -math.inf
        self._settings = StreamOptions()
        self._apply({})

    async def run(self) -> None:
        """Answer messages until the client leaves."""
        start = await self._receive(SECONDS_TO_START)
        if isinstance(start, bytes):
            raise ProblemError("bad-request", 'The first message must be {"type": "start", "settings": {...}}.')
        message = TextMessage.read(start)
        scheme, key = get_authorization_scheme_param(self._socket.headers.get("authorization"))
        check_key(self._engine.settings, key if scheme.lower() == "bearer" else message.key)
        self._apply(message.settings)
        model = self._settings.model or next(iter(self._engine.models))
        ready = {"type": "ready", "model": model, "detector": self._recognizer.detector.name}
        await self._socket.send_text(json.dumps(ready))
        while True:
            data = await self._receive(self._engine.settings.timeouts.idle)
            if reply := await self._answer(data):
                await self._socket.send_text(reply)

    async def _answer(self, data: str | bytes) -> str | None:
        """Return the answer to a message; None if the message changes settings. An error becomes the answer."""
        try:
            if isinstance(data, bytes):
                return json.dumps(await self._recognize(data))
            self._apply(TextMessage.read(data).settings)
        except Exception as error:
            problem = as_problem(error)
            if problem.status == 500:
                logger.exception("A message of a WebSocket client failed")
            return _error(problem)
        return None

    def _apply(self, changes: dict[str, Any]) -> None:
        """Change some settings and restart tracking; after `ValidationError` or `ProblemError` nothing has changed."""
        refuse_unknown("setting", changes, tuple(StreamOptions.model_fields))
        settings = StreamOptions.model_validate(self._settings.model_dump() | changes)
        self._recognizer = self._engine.recognizer(settings.model, settings.detector)
        self._settings = settings
        self._start_tracking()

    def _start_tracking(self) -> None:
        self._faces = FaceStream(self._recognizer, self._settings.stream_settings())

    async def _recognize(self, data: bytes) -> dict[str, Any]:
        start, limits, faces = time.perf_counter(), self._engine.settings.limits, self._faces
        if len(data) <= HEADER.size:
            raise ProblemError("bad-request", f"A binary message is {HEADER.size} bytes of time and an image file.")
        (milliseconds,) = HEADER.unpack_from(data)
        if not (math.isfinite(milliseconds) and milliseconds > self._last_time):
            raise ProblemError(
                "invalid", "The time of an image must be a number greater than that of the previous image."
            )
        self._last_time = milliseconds

        def work() -> FrameResult:
            pixels = decode_image(data[HEADER.size :], "image", Limits(limits.frame_bytes, limits.frame_pixels))
            return faces.process(pixels, milliseconds / 1000)

        try:
            result = await self._engine.wait(self._engine.submit(work))
        except ProblemError:  # timed out: a thread may still be using the old `FaceStream`
            self._start_tracking()
            raise
        self._engine.metrics.images.labels("live").inc()
        server_ms = round(1000 * (time.perf_counter() - start), 2)
        return {"type": "frame"} | result.to_json() | {"time": milliseconds, "server_ms": server_ms}

    async def _receive(self, seconds: float) -> str | bytes:
        """Return the next message."""
        try:
            async with asyncio.timeout(seconds):
                message = await self._socket.receive()
        except TimeoutError:
            raise ProblemError("too-slow", f"Nothing was sent for {seconds:g} seconds.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        data: str | bytes = message["bytes"] if message.get("bytes") is not None else message["text"]
        return data


def _error(problem: ProblemError) -> str:
    return json.dumps({"type": "error", "problem": problem.to_json()})
