"""The Python client against a real server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_server import RunningServer, running, tiny_offer

from mien.apps.web.settings import ServerLimits, ServerSettings
from mien.client import Client, ServerError
from mien.inference.recognizer import Recognizer

KEY = "a-key-of-enough-characters"


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    settings = ServerSettings(offer=tiny_offer(tiny_model), key=KEY, limits=ServerLimits(requests=1))
    with running(settings) as started:
        yield started


def test_results_equal_those_of_the_recogniser(server: RunningServer, hopper: Path, tiny_model: Path) -> None:
    with Client(server.address, KEY) as client:
        one, two = client.recognize(hopper, hopper.read_bytes(), detector="haar")
    expected = Recognizer(tiny_model, "haar").recognize(hopper)
    assert (one.source, two.source) == (str(hopper), "image")
    assert one.to_json() == expected.to_json()


def test_problems_become_errors_of_one_line(server: RunningServer, hopper: Path) -> None:
    with Client(server.address, KEY) as client:
        with pytest.raises(ServerError, match="image: image is not an image") as error:
            client.recognize(b"text")
        assert error.value.status == 422
        with pytest.raises(ServerError, match="Did you mean 'tiny'"):
            client.recognize(hopper, model="tinny")
        assert client.recognize(hopper)[0].width == 512  # the connection continues
    with Client(server.address) as client, pytest.raises(ServerError, match="API key"):
        client.models()


def test_absent_servers_and_wrong_addresses() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerError, match="mien serve"):
        client.models()
    with pytest.raises(ServerError, match="not a web address"):
        Client("127.0.0.1:8000")


def test_a_busy_server_is_asked_again(server: RunningServer, hopper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    budget = server.engine.requests
    budget.take()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        budget.release()

    monkeypatch.setattr("mien.client.time.sleep", wait)
    with Client(server.address, KEY) as client:
        assert client.recognize(hopper, detector="none")[0].faces
        assert waits == [1.0]
    budget.take()
    with (
        Client(server.address, KEY, tries=1) as impatient,
        pytest.raises(ServerError, match="limit of 1 request") as error,
    ):
        impatient.recognize(hopper)
    budget.release()
    assert error.value.status == 429


def test_a_refusal_before_the_end_of_an_upload_is_read() -> None:
    detail = json.dumps({"detail": "Too many requests."}).encode()
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(head % len(detail) + detail)
            time.sleep(0.2)  # and then it closes, with most of the body unread

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", tries=1)
        with client, pytest.raises(ServerError, match=r"Too many requests\.") as caught:
            next(client.recognize_video(bytes(64 * 2**20)))
        thread.join()
    assert (caught.value.status, caught.value.retry_after) == (429, 7)
