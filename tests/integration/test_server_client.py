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
    settings = ServerSettings(offer=tiny_offer(tiny_model), key=KEY, limits=ServerLimits(places=1, pictures=2))
    with running(settings) as started:
        yield started


def test_results_are_those_of_the_recogniser(server: RunningServer, hopper: Path, tiny_model: Path) -> None:
    with Client(server.address, KEY) as client:
        one, two = client.recognize(hopper, hopper.read_bytes(), detector="haar")
    expected = Recognizer(tiny_model, "haar").recognize(hopper)
    assert (one.source, two.source) == (hopper.name, "images[1]")
    assert (one.width, one.height, one.labels) == (expected.width, expected.height, expected.labels)
    assert one.faces[0].label == expected.faces[0].label
    assert one.faces[0].probabilities == pytest.approx(expected.faces[0].probabilities, abs=1e-5)
    assert one.shares == expected.shares


def test_problems_become_errors_of_one_line(server: RunningServer, hopper: Path) -> None:
    with Client(server.address, KEY) as client:
        with pytest.raises(ServerError, match="images\\[0\\] is not an image") as error:
            client.recognize(b"text")
        assert error.value.status == 422
        with pytest.raises(ServerError, match="more than 2 parts"):
            client.recognize(hopper, hopper, hopper)
        with pytest.raises(ServerError, match="Did you mean 'tiny'"):
            client.recognize(hopper, model="tinny")
        assert client.recognize(hopper)[0].width == 512  # the connection goes on
    with Client(server.address) as client, pytest.raises(ServerError, match="API key"):
        client.models()


def test_a_server_that_is_not_there_and_addresses_that_are_none() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerError, match="mien serve"):
        client.models()
    with pytest.raises(ServerError, match="no address"):
        Client("127.0.0.1:8000")


def test_a_full_server_is_asked_again(server: RunningServer, hopper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    place = server.engine.places.take()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        place.leave()

    monkeypatch.setattr("mien.client.time.sleep", wait)
    with Client(server.address, KEY) as client:
        assert client.recognize(hopper, detector="none")[0].faces
        assert waits == [1.0]
        place = server.engine.places.take()
        impatient = Client(server.address, KEY, tries=1)
        with pytest.raises(ServerError, match="places for requests") as error:
            impatient.recognize(hopper)
        impatient.close()
        place.leave()
    assert error.value.status == 429


def test_a_refusal_before_the_end_of_an_upload_is_read() -> None:
    detail = json.dumps({"detail": "All places are taken."}).encode()
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
        with client, pytest.raises(ServerError, match=r"All places are taken\.") as caught:
            next(client.recognize_video(bytes(64 * 2**20)))
        thread.join()
    assert (caught.value.status, caught.value.retry_after) == (429, 7)
