"""The WebSocket: one answer per frame; and what happens to clients that break the rules."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import KEY, RunningServer, running, tiny_settings, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mien.apps.web.settings import ServerLimits, Timeouts


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    limits = ServerLimits(live_clients=2, frame_bytes=200_000, frame_pixels=400_000)
    with running(tiny_settings(tiny_model, limits=limits, timeouts=Timeouts(idle=0.7))) as started:
        yield started


@pytest.fixture
def portrait(hopper: Path) -> bytes:
    return hopper.read_bytes()


@contextlib.contextmanager
def start(server: RunningServer, settings: dict[str, Any] | None = None, **words: Any) -> Iterator[ClientConnection]:
    address = f"ws://127.0.0.1:{server.port}/v1/live"
    with connect(address, compression=None, close_timeout=1, **words) as connection:
        connection.send(json.dumps({"type": "start", "settings": settings or {}}))
        yield connection


def send(connection: ClientConnection, time: float, image: bytes) -> dict[str, Any]:
    connection.send(struct.pack(">d", time) + image)
    return receive(connection)


def receive(connection: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(connection.recv(timeout=10))
    return message


def kind_of(message: dict[str, Any]) -> str:
    assert message["type"] == "error"
    return str(message["problem"]["type"].removeprefix("urn:mien:problem:"))


def test_frames_are_answered_one_by_one(server: RunningServer, portrait: bytes) -> None:
    settings = {"smoothing": "off", "detector": "haar", "detect_every": 2}
    with start(server, settings, origin=server.address) as connection:  # from the server's own page
        assert receive(connection) == {"type": "ready", "model": "tiny", "detector": "haar"}
        answers = [send(connection, 40.0 * number, portrait) for number in range(1, 9)]
    for number, answer in enumerate(answers, start=1):
        assert (answer["type"], answer["time"]) == ("frame", 40.0 * number)
        assert (answer["image_width"], answer["image_height"]) == (512, 600)
        assert answer["server_ms"] > 0
    for answer in answers[-3:]:  # by then the tracker is sure that the face is one
        (face,) = answer["faces"]
        assert (face["track"], face["label"]) == (answers[-1]["faces"][0]["track"], "sad")
        assert (face["seen"], face["confidence"]) == (True, face["probabilities"]["sad"])
        assert sum(answer["shares"].values()) == pytest.approx(1)


def test_settings_change_at_any_time(server: RunningServer, portrait: bytes) -> None:
    with start(server) as connection:
        receive(connection)
        connection.send(json.dumps({"type": "settings", "settings": {"detector": "none"}}))
        assert send(connection, 1, portrait)["faces"][0]["width"] == 600
        for wrong in ({"smoothing": "much"}, {"detector": "absent"}, {"colour": 1}, {"detect_every": "x"}, 3):
            connection.send(json.dumps({"type": "settings", "settings": wrong}))
            assert kind_of(receive(connection)) == "invalid"
        assert send(connection, 2, portrait)["type"] == "frame"


@pytest.mark.parametrize(
    ("time", "image", "kind"),
    [
        (1.0, b"not an image", "unreadable-image"),
        (1.0, b"", "bad-request"),
        (float("nan"), b"x", "invalid"),
        (float("inf"), b"x", "invalid"),
    ],
)
def test_bad_frames_are_problems_and_end_nothing(
    server: RunningServer, portrait: bytes, time: float, image: bytes, kind: str
) -> None:
    with start(server, {"detector": "none"}) as connection:
        receive(connection)
        assert kind_of(send(connection, time, image)) == kind
        assert send(connection, 5, portrait)["type"] == "frame"
        assert kind_of(send(connection, 5, portrait)) == "invalid"  # time must increase


def test_frames_that_do_not_wait_are_answered_in_order(server: RunningServer, portrait: bytes) -> None:
    with start(server, {"detector": "none"}) as connection, server.busy() as gate:
        receive(connection)
        for number in range(3):
            connection.send(struct.pack(">d", number + 1) + portrait)
        gate.set()
        assert [receive(connection)["time"] for _ in range(3)] == [1, 2, 3]


def test_a_late_frame_is_a_problem(tiny_model: Path, portrait: bytes) -> None:
    settings = tiny_settings(tiny_model, timeouts=Timeouts(response=1.0))
    with running(settings) as server, start(server, {"detector": "none"}) as connection:
        receive(connection)
        with server.busy():
            assert kind_of(send(connection, 1, portrait)) == "timeout"
        assert send(connection, 2, portrait)["faces"][0]["width"] == 600


def last_problem(connection: ClientConnection) -> tuple[str, int]:
    kind = ""
    try:
        while True:
            message = json.loads(connection.recv(timeout=5))
            kind = kind_of(message) if message["type"] == "error" else ""
    except ConnectionClosed as closed:
        return kind, closed.rcvd.code if closed.rcvd else 0


def test_silence_and_wrong_starts_end_the_conversation(server: RunningServer) -> None:
    with start(server) as connection:
        assert last_problem(connection) == ("too-slow", 1008)
    for first in ("not JSON", "[1]", '{"type": "begin"}', "[" * 4000, b"\0" * 20):
        with connect(f"ws://127.0.0.1:{server.port}/v1/live") as connection:
            connection.send(first)
            assert last_problem(connection)[1] == 1008


def test_frames_beyond_the_limits(server: RunningServer) -> None:
    with start(server) as connection:
        receive(connection)
        connection.send(b"\0" * 300_000)
        assert last_problem(connection)[1] == 1009


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_sites_cannot_connect(server: RunningServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, start(server, origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert refused.value.response.headers["content-type"] == "application/problem+json"


def test_clients_are_limited_and_counted(server: RunningServer) -> None:
    wait_until(lambda: server.engine.live.taken == 0)
    with start(server) as one, start(server) as two:
        receive(one), receive(two)
        with pytest.raises(InvalidStatus) as refused, start(server):
            pass
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["retry-after"] == "1"
        one.socket.close()  # the network fails
    wait_until(lambda: server.engine.live.taken == 0)


def test_the_key_comes_as_a_header_or_in_the_first_message(tiny_model: Path) -> None:
    with running(tiny_settings(tiny_model, key=KEY)) as server:
        address = f"ws://127.0.0.1:{server.port}/v1/live"
        with start(server, additional_headers={"Authorization": f"Bearer {KEY}"}) as connection:
            assert receive(connection)["type"] == "ready"
        for key, kind in ((KEY, "ready"), ("wrong", "error"), (None, "error"), (7, "error")):
            with connect(address) as connection:
                connection.send(json.dumps({"type": "start", "key": key}))
                assert receive(connection)["type"] == kind
