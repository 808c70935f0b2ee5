"""The only code that relies on how uvicorn works inside; written for uvicorn 0.54."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.apps.web.live import HEADER
from mien.apps.web.security import MAX_HEADER_BYTES
from mien.apps.web.settings import ServerSettings
from mien.core.errors import MienError

MAX_CONNECTIONS = 256  # open at the same time; more get 503
SECONDS_TO_FINISH = 30  # for the requests in progress when no more connections are accepted


class Served(Protocol):
    """What a process serves: its settings, and whether a signal to end has arrived."""

    settings: ServerSettings
    is_draining: bool


class Connection(H11Protocol):
    """Limits the time for a request's header, which uvicorn does not (slow headers would hold connections open)."""

    header_seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first header."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.header_seconds, self._expire)

    def data_received(self, data: bytes) -> None:
        """Stop the timer when a header is complete; start it with the next one."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _expire(self) -> None:
        if self.conn.trailing_data[0]:
            self.send_400_response("The header of the request arrived too slowly.")
        else:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Keeps accepting connections for a moment after SIGTERM, so that a load balancer sees `/readyz` change."""

    def __init__(self, config: uvicorn.Config, served: Served) -> None:
        super().__init__(config)
        self._served = served

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: the first SIGTERM takes effect after `Timeouts.drain`."""
        is_first, self._served.is_draining = not self._served.is_draining, True
        if is_first and sig == signal.SIGTERM:
            threading.Timer(self._served.settings.timeouts.drain, super().handle_exit, (sig, frame)).start()
        else:
            super().handle_exit(sig, frame)


def make_server(app: ASGIApp, served: Served) -> Server:
    """Return a server for an application, with the limits of its settings."""
    settings = served.settings
    # uvicorn logs this error for every WebSocket that is refused with a response
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: record.msg != "ASGI callable returned without completing handshake."
    )
    config = uvicorn.Config(
        app,
        # a subclass, because uvicorn creates the connections and passes them no arguments of the caller
        http=type("Connection", (Connection,), {"header_seconds": settings.timeouts.header}),
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=settings.limits.frame_bytes + HEADER.size,
        ws_per_message_deflate=False,  # images are compressed already
        limit_concurrency=MAX_CONNECTIONS,
        access_log=False,  # it would contain people's addresses
        server_header=False,
        proxy_headers=False,
        log_level="warning",
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )
    return Server(config, served)


def run_server(server: Server, listener: socket.socket, announce: Callable[[list[str]], None]) -> None:
    """Serve until a signal arrives; after Ctrl-C, `announce` says that it stopped."""
    try:
        server.run(sockets=[listener])
    finally:
        announce(["Stopped."])


def listen(host: str, port: int) -> socket.socket:
    """Bind to an address; `MienError` if it cannot be used."""
    name = host.strip("[]")
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol; with it, the body of a response,
    # sent after its header, waits up to 40 ms for the client to acknowledge the header
    listener = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((name, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise MienError(f"{host}, port {port}, cannot be used ({reason}); pass another --host or --port.") from None
    return listener
