"""The server over real connections: results, refusals, limits, and what it keeps."""

from __future__ import annotations

import io
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from PIL import Image
from running_server import KEY, RunningServer, open_files, running, tiny_settings, wait_until

from mien.apps.web.settings import ServerLimits, Timeouts
from mien.inference.recognizer import Recognizer

MIB = 2**20


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    limits = ServerLimits(requests=4, body_bytes=4 * MIB, pixels=2_000_000)
    timeouts = Timeouts(header=0.5, body=1.5, body_grace=0.4)
    with running(tiny_settings(tiny_model, limits=limits, timeouts=timeouts)) as started:
        yield started


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=10) as opened:
        yield opened


@pytest.fixture(scope="session")
def portrait(hopper: Path) -> bytes:
    return hopper.read_bytes()


def test_images_in_a_form_get_the_results_of_the_recognizer(
    client: httpx.Client, portrait: bytes, tiny_model: Path
) -> None:
    flat = io.BytesIO()
    Image.new("RGB", (60, 40), "white").save(flat, "PNG")
    files = [("images", ("hopper.jpg", portrait)), ("images", ("../flat.png", flat.getvalue()))]
    response = client.post("/v1/recognize", files=files).json()
    expected = Recognizer(tiny_model, "haar").recognize(portrait, source="hopper.jpg").to_json()
    assert (response["model"], response["detector"]) == ("tiny", "haar")
    first, second = response["images"]
    assert (second["source"], second["faces"]) == ("flat.png", [])
    assert first == expected


def test_a_raw_body_with_the_requested_detector(client: httpx.Client, portrait: bytes) -> None:
    response = client.post("/v1/recognize?detector=none&model=tiny", content=portrait)
    (face,) = response.json()["images"][0]["faces"]
    assert [face[name] for name in ("x", "y", "width", "height")] == [-44, 0, 600, 600]
    assert response.headers["cache-control"] == "no-store"


def test_models_card_and_health(client: httpx.Client) -> None:
    response = client.get("/v1/models").json()
    assert response["detectors"] == ["haar", "none"]
    (model,) = response["models"]
    assert (model["licence"], model["unsure_threshold"]) == (None, 0.5)
    assert json.dumps(model["input"]) == '{"size": 48, "channels": 1, "mean": 0.5, "std": 0.25, "is_grey": false}'
    assert client.get(model["card"]).json()["labels"] == model["labels"]
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_metrics_count_without_addresses_or_labels(client: httpx.Client, portrait: bytes) -> None:
    client.post("/v1/recognize?detector=none", content=portrait)
    client.get("/secret-name")
    text = client.get("/metrics").text
    assert 'mien_requests_total{route="/v1/recognize",status="200"}' in text
    assert "secret-name" not in text
    assert "happy" not in text
    assert "mien_requests_pending 0.0" in text


def test_every_response_has_the_headers_that_protect_a_browser(client: httpx.Client) -> None:
    for response in (client.get("/"), client.get("/nothing"), client.post("/v1/recognize", content=b"x")):
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "server" not in response.headers
        assert "access-control-allow-origin" not in response.headers


def test_the_page_and_its_files(client: httpx.Client) -> None:
    assert client.get("/").headers["content-type"] == "text/html; charset=utf-8"
    script = client.get("/static/app.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/static/app.js", headers={"If-None-Match": script.headers["etag"]}).status_code == 304
    for address in ("/..%2f..%2fpyproject.toml", "/static/", "/static/..%2fserver.py", "/static/%2e%2e/server.py"):
        assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/recognize", 405),
        ("POST", "/healthz", 405),
        ("GET", "/v1/models/absent/card", 404),
        ("POST", "/v1/recognize?model=absent", 422),
        ("POST", "/v1/recognize?detector=yunett", 422),
        ("POST", "/v1/recognize/video?detect_every=many", 422),
        ("POST", "/v1/recognize/video?smoothing=much", 422),
        ("POST", "/v1/recognize?colour=1", 422),
        ("POST", "/v1/recognize", 422),
        ("BREW", "/", 405),
    ],
)
def test_errors_are_problems(client: httpx.Client, method: str, address: str, status: int) -> None:
    response = client.request(method, address)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:mien:problem:")
    assert len(problem["detail"]) > 15


def png_bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


HOSTILE = {
    "bomb": png_bomb(50_000, 50_000),
    "bomb beyond Pillow": png_bomb(2**31 - 1, 2**31 - 1),
    "no pixels": png_bomb(0, 10),
    "truncated": png_bomb(1000, 1000)[:200],
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "text": b"not an image",
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("use_form", [True, False])
def test_hostile_images_are_refused(client: httpx.Client, name: str, use_form: bool) -> None:
    if use_form:
        response = client.post("/v1/recognize", files={"images": ("face.jpg", HOSTILE[name], "image/jpeg")})
    else:
        response = client.post("/v1/recognize", content=HOSTILE[name], headers={"Content-Type": "image/jpeg"})
    assert response.status_code in (413, 422)
    assert response.headers["content-type"] == "application/problem+json"


def upload_endlessly(server: RunningServer, head: bytes, most: int) -> tuple[bytes, int]:
    """Send until the server responds; return its response, and how many bytes were sent."""
    response, sent, piece = b"", 0, b"x" * 65536
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(head)
        connection.settimeout(0.005)
        while sent < most and b"\r\n\r\n" not in response:
            try:
                sent += connection.send(piece)
                response += connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
    return response, sent


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(server: RunningServer) -> None:
    head = b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n"
    response, sent = upload_endlessly(server, head, 64 * MIB)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in response.lower()
    assert sent < 16 * MIB


def test_a_body_without_a_length_ends_at_the_limit(server: RunningServer) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(6 * 16):
            yield b"x" * 65536

    with httpx.Client(base_url=server.address) as client:
        try:
            status = client.post("/v1/recognize", content=pieces()).status_code
        except (httpx.WriteError, httpx.ReadError):  # the connection was closed while the rest was sent
            status = 413
    assert status == 413
    assert server.engine.bytes.taken == 0


def test_slow_bodies_and_slow_headers_end(server: RunningServer) -> None:
    head = b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    assert server.talk(head + b"slow").startswith(b"HTTP/1.1 408 ")
    response = server.talk(b"GET /healthz HTTP/1.1\r\nHost: local")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"too slowly" in response
    assert server.talk(b"") == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\nHost: localhost\r\n\r\nzzzz",
    ],
)
def test_damaged_requests_are_refused(server: RunningServer, sent: bytes) -> None:
    assert server.talk(sent).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_cannot_ask(
    client: httpx.Client, portrait: bytes, headers: dict[str, str], status: int
) -> None:
    assert client.post("/v1/recognize?detector=none", content=portrait, headers=headers).status_code == status


def test_a_websocket_under_another_name_is_refused(server: RunningServer) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    upgrade += "\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="
    for host, status in (("evil.example", b"400"), ("localhost", b"101"), ("[::1]:8000", b"101")):
        sent = f"GET /v1/live HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n\r\n"
        assert server.talk(sent.encode(), timeout=1).startswith(b"HTTP/1.1 " + status)


def test_a_busy_server_says_when_to_return(server: RunningServer, portrait: bytes) -> None:
    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{server.address}/v1/recognize?detector=none", content=portrait, timeout=20)

    with ThreadPoolExecutor(7) as threads, server.busy() as gate:
        jobs = [threads.submit(ask, number) for number in range(7)]
        wait_until(lambda: sum(job.done() for job in jobs) == 3)
        gate.set()
        responses = [job.result(20) for job in jobs]
    assert sorted(response.status_code for response in responses) == [200] * 4 + [429] * 3
    refused = next(response for response in responses if response.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    wait_until(lambda: server.engine.requests.taken == 0)


def test_clients_that_vanish_leave_nothing(server: RunningServer, portrait: bytes) -> None:
    head = f"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(portrait)}\r\n\r\n".encode()
    with server.busy():  # all workers have started
        pass
    before = open_files(), threading.active_count()
    for number in range(40):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall((head + portrait)[: None if number % 2 else 9000])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert server.talk(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")  # all are accepted
    wait_until(lambda: open_files() <= before[0])
    wait_until(lambda: (server.engine.requests.taken, server.engine.bytes.taken) == (0, 0))
    assert threading.active_count() <= before[1]


def test_the_key_is_required(tiny_model: Path, portrait: bytes) -> None:
    with running(tiny_settings(tiny_model, key=KEY)) as server:
        client = httpx.Client(base_url=server.address)
        for address in ("/v1/models", "/metrics", "/v1/models/tiny/card"):
            assert client.get(address).status_code == 401
            assert client.get(address, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert client.get(address, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        refused = client.post("/v1/recognize", content=portrait)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="mien"')
        for address in ("/", "/healthz", "/readyz"):
            assert client.get(address).status_code == 200
        client.close()


def read_response(connection: socket.socket) -> tuple[int, bytes]:
    """Return the status and the body of one response of a connection that is kept open."""
    response = HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_no_image_is_stored_or_logged(
    server: RunningServer, portrait: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    watching = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.mkdir", "os.rename", "tempfile.mkstemp", "socket.connect"):
            opened.append(f"{event} {arguments}")

    sys.addaudithook(watch)  # cannot be removed: `watching` switches it off
    caplog.set_level(logging.DEBUG)
    size = len(portrait)
    head = f"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        for turn in range(2):
            watching = turn == 1  # the first time, libraries import their parts
            connection.sendall(f"{head}\r\n".encode() + portrait)
            assert read_response(connection)[0] == 200
            connection.sendall(f"{head}\r\n".encode() + b"x" * size)
            assert read_response(connection)[0] == 422
        watching = False
    assert opened == []
    written = capfd.readouterr()
    logged = caplog.text + written.out + written.err
    assert not any(word in logged for word in ("127.0.0.1", "neutral", "happy", "recognize"))


PLUGIN = """
from mien.inference.detectors.none import WholeImage

class Own(WholeImage):
    name = "own"
"""


def test_the_command_loads_plugins_and_finishes_requests_after_sigterm(
    tiny_model: Path, portrait: bytes, tmp_path: Path
) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(PLUGIN)
    options = ["--port", "0", "--model", tiny_model, "--plugin", plugin, "--detector", "own", "--drain", "1.5"]
    command = [sys.executable, "-m", "mien", "serve", *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[2].rstrip("/")
    with httpx.Client(base_url=address, timeout=20) as client:
        assert client.get("/readyz").status_code == 200
        connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 10)
        size = len(portrait)
        connection.sendall(f"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.sendall(portrait[: size // 2])
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert client.get("/readyz").json()["type"].endswith("shutting-down")
        connection.sendall(portrait[size // 2 :])
        status, body = read_response(connection)
        connection.close()
    assert status == 200
    assert json.loads(body)["images"][0]["faces"]
    assert process.wait(20) in (0, -signal.SIGTERM)
    process.stdout.close()
