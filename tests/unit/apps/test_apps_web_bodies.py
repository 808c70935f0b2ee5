"""Bodies: forms and raw files, limits of size and time, and names that are only ever told back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fastapi import Request

from mien.apps.web.bodies import files, media_type, read_body
from mien.apps.web.limits import ByteBudget
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import Times

TIMES = Times()
FORM = "multipart/form-data; boundary=xyz"


def form(*parts: tuple[str, str, bytes], end: bytes = b"--xyz--\r\n") -> bytes:
    body = b""
    for name, file, data in parts:
        head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + end


def test_a_raw_body_is_one_file() -> None:
    assert files(b"data", "image/png", "images", 3) == [("images", b"data")]
    assert media_type("Image/PNG; q=1") == "image/png"


def test_a_form_gives_its_files_in_order() -> None:
    body = form(("images", "a.jpg", b"\r\n--x"), ("images", "", b""))
    assert files(body, FORM, "images", 3) == [("a.jpg", b"\r\n--x"), ("images[1]", b"")]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Users\\\\me\\\\face.png", "face.png"),
        ("a\x00b\x1b[2J.png", "a?b?[2J.png"),
        ("x" * 3000, "x" * 200),
    ],
)
def test_names_lose_their_folders_and_what_cannot_be_shown(given: str, told: str) -> None:
    assert files(form(("images", given, b"d")), FORM, "images", 3) == [(told, b"d")]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (form(("images", "a", b"d"), end=b""), FORM, 400),
        (b"no form at all", FORM, 400),
        (form(("images", "a", b"d")), "multipart/form-data", 400),
        (form(("images", "a", b"d")), "multipart/form-data; boundary=" + "b" * 300, 400),
        (form(("images", "x" * 9000, b"d")), FORM, 400),
        (form(("picture", "a", b"d")), FORM, 422),
        (form(), FORM, 422),
        (form(*[("images", "a", b"d")] * 4), FORM, 413),
    ],
)
def test_damaged_and_unknown_forms(body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(ProblemError) as error:
        files(body, content_type, "images", 3)
    assert error.value.status == status


def request(pieces: list[bytes], pause: float = 0.0, length: int | None = None) -> Request:
    left = iter(pieces)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        piece = next(left, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def read(asked: Request, most: int = 100, budget: int = 1000, times: Times = TIMES) -> bytes:
    async def run() -> bytes:
        with ByteBudget(budget).share() as share:
            return await read_body(asked, most, share, times)

    return asyncio.run(run())


def test_a_body_is_put_together() -> None:
    assert read(request([b"one ", b"two"])) == b"one two"


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: read(request([], length=101)), 413),
        (lambda: read(request([b"x" * 60] * 2)), 413),
        (lambda: read(request([b"x" * 60]), budget=50), 429),
        (lambda: read(request([b"x"] * 50, pause=0.02), times=Times(body_grace=0.1)), 408),
        (lambda: read(request([b"x" * 50], pause=0.2), times=Times(body=0.1)), 408),
    ],
)
def test_bodies_beyond_a_limit_are_refused_while_they_come(make: Callable[[], bytes], status: int) -> None:
    with pytest.raises(ProblemError) as error:
        make()
    assert error.value.status == status


def test_a_body_may_stop_for_a_moment_after_it_came_fast() -> None:
    times = Times(body_grace=1, body_rate=30)
    assert len(read(request([b"x" * 90, b"y"], pause=0.6), times=times)) == 91


def test_shares_of_memory_come_back() -> None:
    budget = ByteBudget(10)
    with budget.share() as share:
        share.take(10)
        with budget.share() as other, pytest.raises(ProblemError):
            other.take(1)
    assert budget.held == 0
