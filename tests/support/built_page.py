"""The page that recognizes on the device, built by `make browser`, served in a thread of the test."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from mien.apps.web.on_device import Page, create_page
from mien.apps.web.settings import ServerSettings
from mien.apps.web.transport import listen, make_server

DIST = Path(__file__).parents[2] / "browser" / "dist"
needs_page = pytest.mark.skipif(
    not (DIST / "service-worker.js").is_file(), reason="needs the page built by `make browser`, with Node.js"
)


@dataclass
class ServedPage:
    """The page's port, and the paths that were asked for."""

    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.port}/"


@contextlib.contextmanager
def serving() -> Iterator[ServedPage]:
    """Serve the built page for as long as the block lasts."""
    settings = ServerSettings(allow_no_key=True)
    app = create_page(DIST, settings)
    with listen("127.0.0.1", 0) as listener:
        served = ServedPage(listener.getsockname()[1])

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                served.asked.append(scope["path"])
            await app(scope, receive, send)

        server = make_server(noting, Page(settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()
