from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mien.core.errors import ModelError
from mien.inference.detectors import yunet
from mien.inference.detectors.yunet import FILE_NAME, fetch_weights

CONTENT = b"network" * 1000


class Handler(BaseHTTPRequestHandler):
    """Serves the file, another file, an endless file, a slow file, or nothing."""

    requested: list[str]

    def do_GET(self) -> None:
        self.requested.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        try:
            if self.path == "/slow":
                for _ in range(50):
                    self.wfile.write(b"x" * yunet.DOWNLOAD_CHUNK)
                    time.sleep(0.1)
            else:
                self.wfile.write({"/right": CONTENT, "/wrong": b"other", "/huge": b"x" * 100_000}[self.path])
        except OSError:
            pass  # the client has closed the connection

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(yunet, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    Handler.requested = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def urls(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    monkeypatch.setattr(yunet, "URLS", addresses)


def test_the_file_is_fetched_once(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    urls(monkeypatch, f"{server}/right")
    path = fetch_weights(5)
    assert path == tmp_path / "cache" / FILE_NAME
    assert path.read_bytes() == CONTENT
    assert fetch_weights(5) == path
    assert Handler.requested == ["/right"]
    assert list(path.parent.iterdir()) == [path]
    path.write_bytes(b"half")
    assert fetch_weights(5).read_bytes() == CONTENT


def test_the_next_address_is_tried(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    urls(monkeypatch, f"{server}/missing", f"{server}/wrong", f"{server}/right")
    assert fetch_weights(5).read_bytes() == CONTENT
    assert Handler.requested == ["/missing", "/wrong", "/right"]


@pytest.mark.parametrize(
    ("page", "expected"), [("missing", "404"), ("wrong", "SHA-256 d9298a10"), ("huge", "larger than")]
)
def test_a_wrong_file_leaves_nothing(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str, expected: str
) -> None:
    monkeypatch.setattr(yunet, "LARGEST_DOWNLOAD", 50_000)
    urls(monkeypatch, f"{server}/{page}")
    with pytest.raises(ModelError, match=expected) as caught:
        fetch_weights(5)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_slow_address_times_out(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yunet, "LARGEST_DOWNLOAD", 2**30)
    urls(monkeypatch, f"{server}/slow")
    with pytest.raises(ModelError, match="not finished after"):
        fetch_weights(0.3)


def test_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    urls(monkeypatch, "http://127.0.0.1:9/yunet.onnx")
    with pytest.raises(ModelError, match=r"YuNet cannot be downloaded .*use --detector haar"):
        fetch_weights(2)


def test_a_cache_that_cannot_be_written(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    urls(monkeypatch, f"{server}/right")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="MIEN_CACHE"):
        fetch_weights(5)
