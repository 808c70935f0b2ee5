"""Responses that are sent before the request is complete."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = 1.0


class Linger:
    """ASGI middleware: lets a client read an early response before the connection is closed.

    A rejected upload is answered while the client is still sending. Closing at once would reset the connection, and the
    client might lose the response; uvicorn alone would read the whole body. So the rest is discarded for a second, and
    then the connection is closed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note whether its body was read."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        is_complete = is_early = False

        async def watch() -> Message:
            nonlocal is_complete
            message = await receive()
            is_complete = is_complete or not message.get("more_body", False)
            return message

        async def respond(message: Message) -> None:
            nonlocal is_early
            if message["type"] == "http.response.start" and not is_complete:
                MutableHeaders(scope=message)["Connection"] = "close"
                is_early = True
            if is_early and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SECONDS):
                        while not is_complete:
                            await watch()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app(scope, watch, respond)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
