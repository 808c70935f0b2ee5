"""The WebSocket: a frame, an answer; and what happens to clients that break the rules."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_server import RunningServer, box_of, running, tiny_offer
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mien.apps.web.settings import ServerLimits, ServerSettings, Times

KEY = "a-key-of-enough-characters"


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    limits = ServerLimits(live_clients=2, frame_bytes=200_000, frame_pixels=400_000)
    with running(ServerSettings(offer=tiny_offer(tiny_model), limits=limits, times=Times(idle=0.7))) as started:
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


@contextlib.contextmanager
def busy_workers(server: RunningServer) -> Iterator[threading.Event]:
    """Keep every worker thread waiting until the event is set, or the block ends."""
    gate = threading.Event()
    jobs = [server.engine.submit(gate.wait) for _ in range(server.engine.settings.worker_count)]
    try:
        yield gate
    finally:
        gate.set()
    assert all(job.result(5) for job in jobs)


def tell(connection: ClientConnection, at: float, picture: bytes) -> dict[str, Any]:
    connection.send(struct.pack(">d", at) + picture)
    return receive(connection)


def receive(connection: ClientConnection) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(connection.recv(timeout=10))
    return told


def test_frames_are_answered_one_by_one(server: RunningServer, portrait: bytes) -> None:
    with start(server, {"smoothing": "off", "detector": "haar", "detect_every": 2}) as connection:
        assert receive(connection) == {"type": "ready", "model": "tiny", "detector": "haar"}
        answers = [tell(connection, 40.0 * number, portrait) for number in range(1, 9)]
    for number, answer in enumerate(answers, start=1):
        assert (answer["type"], answer["time"]) == ("frame", 40.0 * number)
        assert (answer["image_width"], answer["image_height"]) == (512, 600)
        assert answer["server_ms"] > 0
    for answer in answers[-3:]:  # by then the tracker is sure that the face is one
        (face,) = answer["faces"]
        assert (face["track"], face["label"]) == (answers[-1]["faces"][0]["track"], "sad")
        assert face["confidence"] == face["probabilities"]["sad"]
        assert face["is_unsure"] == (face["confidence"] < 0.5)
        assert sum(answer["shares"].values()) == pytest.approx(1)


def test_settings_change_at_any_time(server: RunningServer, portrait: bytes) -> None:
    with start(server) as connection:
        receive(connection)
        connection.send(json.dumps({"type": "settings", "settings": {"detector": "none"}}))
        assert box_of(tell(connection, 1, portrait)["faces"][0]) == [-44, 0, 600, 600]
        for wrong in ({"smoothing": "much"}, {"detector": "absent"}, {"colour": 1}, {"detect_every": "x"}, 3):
            connection.send(json.dumps({"type": "settings", "settings": wrong}))
            told = receive(connection)
            assert (told["type"], told["problem"]["status"]) == ("error", 422)
        assert tell(connection, 2, portrait)["type"] == "frame"


@pytest.mark.parametrize(
    ("at", "picture", "kind"),
    [
        (1.0, b"no picture", "unreadable-picture"),
        (1.0, b"", "bad-request"),
        (float("nan"), b"x", "invalid"),
        (float("inf"), b"x", "invalid"),
    ],
)
def test_bad_frames_are_problems_and_end_nothing(
    server: RunningServer, portrait: bytes, at: float, picture: bytes, kind: str
) -> None:
    with start(server, {"detector": "none"}) as connection:
        receive(connection)
        told = tell(connection, at, picture)
        assert (told["type"], told["problem"]["type"]) == ("error", f"urn:mien:problem:{kind}")
        assert tell(connection, 5, portrait)["type"] == "frame"
        assert tell(connection, 5, portrait)["problem"]["status"] == 422  # time must go on


def test_only_one_frame_may_be_in_flight(server: RunningServer, portrait: bytes) -> None:
    with start(server, {"detector": "none"}) as connection, busy_workers(server) as gate:
        receive(connection)
        for number in range(3):
            connection.send(struct.pack(">d", number + 1) + portrait)
        refused = [receive(connection) for _ in range(2)]
        gate.set()
        assert receive(connection)["time"] == 1
    assert {told["problem"]["type"] for told in refused} == {"urn:mien:problem:frame-in-flight"}


def test_a_late_frame_is_a_problem_and_its_faces_are_given_up(tiny_model: Path, portrait: bytes) -> None:
    times = Times(answer=1.0)
    with (
        running(ServerSettings(offer=tiny_offer(tiny_model), times=times)) as server,
        start(server, {"detector": "haar"}) as connection,
    ):
        receive(connection)
        with busy_workers(server):
            assert tell(connection, 1, portrait)["problem"]["type"] == "urn:mien:problem:timeout"
            connection.send(struct.pack(">d", 2) + portrait)
            connection.send(json.dumps({"type": "settings", "settings": {"detector": "none"}}))
            assert receive(connection)["problem"]["type"] == "urn:mien:problem:timeout"
        # the settings that came while the second frame was late are kept
        answer = tell(connection, 3, portrait)
        assert box_of(answer["faces"][0]) == [-44, 0, 600, 600]


def test_who_never_waits_is_sent_away(server: RunningServer) -> None:
    with start(server) as connection, busy_workers(server):
        receive(connection)
        for number in range(30):
            connection.send(struct.pack(">d", number + 1) + b"x")
        assert last_words(connection) == ("frame-in-flight", 1008)


def last_words(connection: ClientConnection) -> tuple[str, int]:
    told, kind = "", ""
    try:
        while True:
            told = str(connection.recv(timeout=5))
            kind = json.loads(told).get("problem", {}).get("type", "").rpartition(":")[2]
    except ConnectionClosed as closed:
        return kind, closed.rcvd.code if closed.rcvd else 0


def test_silence_and_bad_beginnings_end_the_conversation(server: RunningServer) -> None:
    with start(server) as connection:
        assert last_words(connection) == ("too-slow", 1008)
    for beginning in ("no JSON", "[1]", '{"type": "begin"}', "[" * 4000, b"\0" * 20, "x" * 5000):
        with connect(f"ws://127.0.0.1:{server.port}/v1/live") as connection:
            connection.send(beginning)
            assert last_words(connection)[1] == 1008


def test_frames_beyond_the_limits(server: RunningServer) -> None:
    with start(server) as connection:
        receive(connection)
        connection.send(b"\0" * 300_000)
        assert last_words(connection)[1] == 1009


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_sites_cannot_connect(server: RunningServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, start(server, origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert refused.value.response.headers["content-type"] == "application/problem+json"


def test_the_servers_own_page_can(server: RunningServer) -> None:
    with start(server, origin=server.address) as connection:
        assert receive(connection)["type"] == "ready"


def test_no_more_clients_than_places_and_places_come_back(server: RunningServer) -> None:
    deadline = time.perf_counter() + 5
    while server.engine.live.taken and time.perf_counter() < deadline:
        time.sleep(0.02)
    with start(server) as one, start(server) as two:
        receive(one), receive(two)
        with pytest.raises(InvalidStatus) as refused, start(server):
            pass
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["retry-after"] == "1"
        one.socket.close()  # the network fails
    deadline = time.perf_counter() + 5
    while server.engine.live.taken and time.perf_counter() < deadline:
        time.sleep(0.02)
    assert server.engine.live.taken == 0


def test_the_key_comes_as_a_header_or_in_the_first_message(tiny_model: Path) -> None:
    with running(ServerSettings(offer=tiny_offer(tiny_model), key=KEY)) as server:
        address = f"ws://127.0.0.1:{server.port}/v1/live"
        with start(server, additional_headers={"Authorization": f"Bearer {KEY}"}) as connection:
            assert receive(connection)["type"] == "ready"
        for key, kind in ((KEY, "ready"), ("wrong", "error"), (None, "error"), (7, "error")):
            with connect(address) as connection:
                connection.send(json.dumps({"type": "start", "key": key}))
                assert receive(connection)["type"] == kind
