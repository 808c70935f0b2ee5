"""The application put together, and the process that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from types import FrameType

import h11
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

import mien
from mien.apps.web import api, live
from mien.apps.web.engine import Engine
from mien.apps.web.lingering import Linger
from mien.apps.web.metrics import CountRequests, Metrics
from mien.apps.web.pages import page_router
from mien.apps.web.problems import MEDIA_TYPE, ProblemError, add_handlers
from mien.apps.web.schemas import Problem
from mien.apps.web.security import LARGEST_HEADER, Guard
from mien.apps.web.settings import ServerSettings
from mien.core.errors import MienError

DESCRIPTION = (
    "Finds faces and names their *apparent* expressions: how they look, not what people feel. Pictures are kept in "
    "memory while they are worked on, and neither stored nor logged."
)


def create_app(engine: Engine) -> ASGIApp:
    """Return the whole application around an engine, which is closed when the application shuts down."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(engine.close)

    app = FastAPI(
        title="mien",
        version=mien.__version__,
        description=DESCRIPTION,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.engine = engine
    add_handlers(app)
    for router in (api.router, live.router, page_router()):
        app.include_router(router)
    _describe_problems(app)
    return CountRequests(Linger(Guard(app, engine.settings)), engine.metrics)


def serve(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serve until a signal ends it; `announce` is told the address.

    SIGTERM: `/readyz` says 503 for `times.drain` seconds; then no more connections are taken, what has been begun is
    finished within `times.finish` seconds, and the process ends. SIGINT skips the first part.

    Raises:
        MienError: A model, a detector or the address cannot be used.
    """
    engine = Engine(settings, Metrics())
    with _listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{port}")
        make_server(engine).run(sockets=[listener])


def make_server(engine: Engine) -> Server:
    """Return a server around an engine, which says in its settings how much is taken."""
    settings = engine.settings
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    config = uvicorn.Config(
        create_app(engine),
        # uvicorn makes the connections, and hands them nothing of ours
        http=type("Connection", (Connection,), {"settings": settings}),
        ws="websockets-sansio",
        ws_max_size=settings.limits.frame_bytes + live.HEADER.size,
        ws_per_message_deflate=False,  # pictures are compressed already
        access_log=False,  # it would hold addresses of people, and what they asked
        server_header=False,
        proxy_headers=False,
        log_level="warning",
        h11_max_incomplete_event_size=LARGEST_HEADER,
        timeout_graceful_shutdown=round(settings.times.finish),
    )
    return Server(config, engine)


class Server(uvicorn.Server):
    """Says that it is about to stop before it stops."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first SIGTERM waits a moment, so that a load balancer sees `/readyz` change."""
        drain = self._engine.settings.times.drain
        was_draining, self._engine.is_draining = self._engine.is_draining, True
        if sig == signal.SIGTERM and not was_draining and drain and self._loop is not None:
            # call_soon_threadsafe wakes the loop, which call_later alone, out of a signal, does not
            self._loop.call_soon_threadsafe(self._loop.call_later, drain, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)


class Connection(H11Protocol):
    """A connection that bounds the time for a header and the number of connections; its errors are problems."""

    settings: ServerSettings

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a header, or refuse."""
        super().connection_made(transport)
        # asyncio does so only for sockets that name their protocol. Without, the body of an answer, written after its
        # header, waits up to 40 ms for the client to acknowledge the header (Nagle's algorithm).
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._header_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.settings.limits.connections:
            self._refuse(ProblemError("queue-full", "Too many connections are open; try again."))
            return
        self._header_timer = self.loop.call_later(self.settings.times.header, self._header_is_late)

    def data_received(self, data: bytes) -> None:
        """Take what came; the time for a header ends with the header, and begins with the next."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(self.settings.times.header, self._header_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Tell, as problem details, that what came is not HTTP or has a header that is too large."""
        self._refuse(ProblemError("bad-request", f"{msg} Headers have at most {LARGEST_HEADER} bytes."))

    def _header_is_late(self) -> None:
        if self.conn.trailing_data[0] or self.conn.their_state is not h11.IDLE:
            self._refuse(ProblemError("too-slow", "The header of the request came too slowly."))
        else:  # nothing was asked
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse(self, problem: ProblemError) -> None:
        """Answer a request that has not got through, and close."""
        body = json.dumps(problem.to_json()).encode()
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
        phrase = HTTPStatus(problem.status).phrase
        lines = [f"HTTP/1.1 {problem.status} {phrase}", *(f"{k}: {v}" for k, v in (headers | problem.headers).items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        self.transport.close()


def _is_news(record: logging.LogRecord) -> bool:
    """Drop what uvicorn 0.54 says of every WebSocket that is refused with an answer, as if that were a fault."""
    return record.msg != "ASGI callable returned without completing handshake."


def _listen(settings: ServerSettings) -> socket.socket:
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, settings.port), family=family, backlog=256)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MienError(f"{settings.host}, port {settings.port}, cannot be used ({reason}); choose others.") from None


def _describe_problems(app: FastAPI) -> None:
    """Put the schema of problems into the OpenAPI document, which the routes only point to."""
    document = app.openapi()
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = schema
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}, {}]
