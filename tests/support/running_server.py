"""A server in a thread of the test, on a free port of the loopback address."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.apps.web.engine import Engine
from mien.apps.web.metrics import Metrics
from mien.apps.web.server import create_app
from mien.apps.web.settings import ServerSettings
from mien.apps.web.transport import listen, make_server
from mien.core.errors import ModelError

KEY = "a-key-of-enough-characters"


@dataclass(frozen=True)
class RunningServer:
    """The server's port and engine."""

    port: int
    engine: Engine

    @property
    def address(self) -> str:
        """The address that clients use."""
        return f"http://127.0.0.1:{self.port}"

    def talk(self, sent: bytes, timeout: float = 5.0) -> bytes:
        """Send raw bytes over a connection, and return all that comes back until it is closed or silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(sent)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while piece := connection.recv(65536):
                    received += piece
        return received

    @contextlib.contextmanager
    def busy(self) -> Iterator[threading.Event]:
        """Keep every worker thread waiting until the event is set, or the block ends."""
        gate = threading.Event()
        jobs = [self.engine.submit(gate.wait) for _ in range(self.engine.settings.worker_count)]
        try:
            yield gate
        finally:
            gate.set()
        assert all(job.result(5) for job in jobs)


def wait_until(check: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread."""
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.02)


def open_files() -> int:
    """Return how many files and connections this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def tiny_settings(model: Path, **settings: Any) -> ServerSettings:
    """Return settings with a model file and the detectors that need no download."""
    return ServerSettings(models=(str(model),), detectors=("haar", "none"), workers=2, **settings)


@contextlib.contextmanager
def running(settings: ServerSettings, port: int = 0) -> Iterator[RunningServer]:
    """Run a server for as long as the block lasts."""
    engine = Engine(settings, Metrics())
    server = make_server(create_app(engine), engine)
    with listen("127.0.0.1", port) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield RunningServer(listener.getsockname()[1], engine)
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()
    with pytest.raises(ModelError, match="shutting down"):  # the engine is closed with the application
        next(iter(engine.models.values())).predict(np.zeros((1, 1, 48, 48), np.float32))
