"""`WS /v1/live`: the pictures of a client's camera, one after the other, each answered with its faces.

The client begins with a text message `{"type": "start", "settings": {...}}`, and with `"key"` where the server wants
one and the handshake had none. Then each binary message is one picture: the client's time in milliseconds as a 64-bit
big-endian float, and a JPEG, PNG or WebP file. The next may be sent when the one before has been answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import struct
import time
from dataclasses import dataclass, replace
from typing import Any, cast

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from mien.apps.web.answers import frame_answer
from mien.apps.web.engine import Engine
from mien.apps.web.problems import ProblemError, as_problem
from mien.apps.web.security import bearer, check_key
from mien.core.errors import MienError
from mien.core.image import Limits, decode_image
from mien.inference.recognizer import Recognizer
from mien.inference.video import FaceStream, StreamSettings

logger = logging.getLogger(__name__)

router = APIRouter()
HEADER = struct.Struct(">d")
LONGEST_TEXT = 4096
# A client that does not wait for answers is told so this many times, and then sent away.
MOST_VIOLATIONS = 20
SECONDS_TO_START = 10.0
# Close codes (RFC 6455, 7.4.1; 1013: IANA's registry).
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
STREAM = StreamSettings(use_pixels=False)
KEYS = ("model", "detector", "smoothing", "detect_every", "time_constant")


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """Serve one client until it leaves, sends nothing for a while, or breaks the rules."""
    engine = cast(Engine, socket.app.state.engine)
    try:
        with engine.live.place():
            await socket.accept()
            await Conversation(engine, socket).hold()
    except ProblemError as problem:
        if socket.client_state is WebSocketState.CONNECTING:
            await socket.send_denial_response(problem.response())
            return
        await _say_goodbye(socket, problem)
    except (WebSocketDisconnect, RuntimeError):  # the client has gone, maybe while it was being told something
        return


async def _say_goodbye(socket: WebSocket, problem: ProblemError) -> None:
    """Tell of the problem that ends the conversation, and close."""
    code = TRY_AGAIN_LATER if problem.kind in ("queue-full", "timeout", "shutting-down") else POLICY_VIOLATION
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_text(_problem(problem))
        await socket.close(code, problem.kind)


@dataclass(frozen=True)
class LiveSettings:
    """What a client has chosen."""

    model: str | None = None
    detector: str | None = None
    stream: StreamSettings = STREAM

    def changed(self, values: Any) -> LiveSettings:
        """Return the settings with some replaced; `ProblemError` for unknown ones, `MienError` for bad values."""
        if not isinstance(values, dict) or not set(values) <= set(KEYS):
            raise ProblemError("invalid", f"'settings' is no object of {', '.join(KEYS)}.")
        names = {key: values[key] for key in ("model", "detector") if key in values}
        stream = {key: value for key, value in values.items() if key not in names}
        if not all(value is None or isinstance(value, str) for value in names.values()):
            raise ProblemError("invalid", "'model' and 'detector' are names.")
        try:
            return replace(self, **names, stream=replace(self.stream, **stream))
        except TypeError:
            raise ProblemError("invalid", "A setting is of another type; see docs/server.md.") from None


class Conversation:
    """One client: its settings, its faces, and the frame that is being worked on."""

    def __init__(self, engine: Engine, socket: WebSocket) -> None:
        self._engine = engine
        self._socket = socket
        self._settings = LiveSettings()
        self._recognizer: Recognizer
        self._faces: FaceStream
        self._answering: asyncio.Task[None] | None = None
        self._violations = 0
        self._last_time = -math.inf
        self._quiet_since = 0.0

    async def hold(self) -> None:
        """Read messages until the client leaves."""
        try:
            await self._start()
            while True:
                message = await self._receive(self._engine.settings.times.idle)
                if message.get("bytes") is not None:
                    await self._take_frame(message["bytes"])
                else:
                    await self._take_settings(_object(message.get("text") or ""))
        finally:
            if self._answering is not None:
                self._answering.cancel()

    async def _start(self) -> None:
        message = await self._receive(SECONDS_TO_START)
        if message.get("text") is None:
            raise ProblemError("bad-request", 'The first message must be {"type": "start", "settings": {...}}.')
        told = _object(message["text"])
        key = bearer(self._socket.headers) or told.get("key")
        check_key(self._engine.settings, key if isinstance(key, str) else None)
        if told.get("type") != "start":
            raise ProblemError("bad-request", "The first message must be of type 'start'.")
        self._use(self._settings.changed(told.get("settings", {})))
        offer = {"model": self._settings.model or next(iter(self._engine.models))}
        offer["detector"] = self._recognizer.detector.name
        await self._socket.send_text(json.dumps({"type": "ready", **offer}))

    async def _take_settings(self, told: dict[str, Any]) -> None:
        if told.get("type") != "settings":
            raise ProblemError("bad-request", "A text message after the first must be of type 'settings'.")
        try:
            self._use(self._settings.changed(told.get("settings", {})))
        except (ProblemError, MienError) as error:  # the old ones stay
            await self._socket.send_text(_problem(as_problem(error)))

    def _use(self, settings: LiveSettings) -> None:
        """Begin anew with other settings; faces get new numbers."""
        self._recognizer = self._engine.recognizer(settings.model, settings.detector)
        self._faces = FaceStream(self._recognizer, settings.stream)
        self._settings = settings

    async def _take_frame(self, data: bytes) -> None:
        if self._answering is not None and not self._answering.done():
            self._violations += 1
            problem = ProblemError("frame-in-flight", "Wait for the answer before you send the next picture.")
            if self._violations > MOST_VIOLATIONS:
                raise problem
            await self._socket.send_text(_problem(problem))
            return
        self._answering = asyncio.create_task(self._answer(data, self._faces, self._recognizer))

    async def _answer(self, data: bytes, faces: FaceStream, recognizer: Recognizer) -> None:
        """Recognise one picture and send the answer, or the problem; the client may then send the next."""
        start = time.perf_counter()
        try:
            told = await self._recognize(data, faces, recognizer)
            told["server_ms"] = round(1000 * (time.perf_counter() - start), 2)
            text = json.dumps(told)
        except (ProblemError, MienError) as error:
            text = _problem(as_problem(error))
            is_late = isinstance(error, ProblemError) and error.kind == "timeout"
            if is_late and self._faces is faces:  # a thread may still use them
                self._faces = FaceStream(recognizer, self._settings.stream)
        except Exception as error:
            logger.exception("A frame of a WebSocket client failed")
            text = _problem(as_problem(error))
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client has gone; `hold` notices too
            await self._socket.send_text(text)
        self._quiet_since = time.monotonic()

    async def _recognize(self, data: bytes, faces: FaceStream, recognizer: Recognizer) -> dict[str, Any]:
        limits = self._engine.settings.limits
        if len(data) <= HEADER.size:
            raise ProblemError("bad-request", f"A picture is {HEADER.size} bytes of time and then a picture file.")
        (at,) = HEADER.unpack_from(data)
        if not (math.isfinite(at) and at > self._last_time):
            raise ProblemError("invalid", "The time of a picture must be a number later than that of the one before.")
        self._last_time = at

        def work() -> dict[str, Any]:
            pixels = decode_image(data[HEADER.size :], "picture", Limits(limits.frame_bytes, limits.frame_pixels))
            return frame_answer(faces.process(pixels, at / 1000), recognizer.card)

        told = await self._engine.wait(self._engine.submit(work))
        self._engine.metrics.pictures.labels("live").inc()
        return told | {"time": at}

    async def _receive(self, seconds: float) -> dict[str, Any]:
        """Return the next message, text or bytes, within limits of time and size.

        The time does not run while the client waits for an answer.
        """
        self._quiet_since = time.monotonic()
        message = None
        while message is None:
            is_answering = self._answering is not None and not self._answering.done()
            late = (time.monotonic() if is_answering else self._quiet_since) + seconds
            if late <= time.monotonic():
                raise ProblemError("too-slow", f"Nothing was sent for {seconds:g} seconds.")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(late - time.monotonic()):
                    message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        if len(message.get("text") or "") > LONGEST_TEXT:
            raise ProblemError("too-large", f"A text message has at most {LONGEST_TEXT} characters.")
        return cast(dict[str, Any], message)


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ProblemError("bad-request", "A text message must be a JSON object.")
    return told


def _problem(problem: ProblemError) -> str:
    return json.dumps({"type": "error", "problem": problem.to_json()})
