"""Bodies: forms and raw files, limits of size and time, and names that are only repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fastapi import Request

from mien.apps.web.bodies import Upload, read_files
from mien.apps.web.limits import Budget
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import Timeouts

TIMEOUTS = Timeouts()
FORM = "multipart/form-data; boundary=xyz"


def form(*parts: tuple[str, str, bytes], end: bytes = b"--xyz--\r\n") -> bytes:
    body = b""
    for name, file, data in parts:
        head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + end


def read(
    *pieces: bytes,
    content_type: str = "image/png",
    pause: float = 0.0,
    length: int | None = None,
    size: int = 20_000,
    budget: int = 20_000,
    timeouts: Timeouts = TIMEOUTS,
) -> list[tuple[str, bytes]]:
    left = iter(pieces)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        piece = next(left, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-type", content_type.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)

    async def run() -> list[tuple[str, bytes]]:
        with Budget(budget, "bytes").share() as take:
            return await read_files(request, Upload("images", "image", 3, size), timeouts, take)

    return asyncio.run(run())


def test_a_raw_body_is_one_file() -> None:
    assert read(b"one ", b"two", content_type="Image/PNG; q=1") == [("image", b"one two")]


def test_a_form_has_its_files_in_order_and_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    large = b"\r\n--x" * 600_000
    body = form(("images", "a.jpg", large), ("images", "", b""))
    limits = {"size": len(body), "budget": len(body)}
    assert read(body, content_type=FORM, **limits) == [("a.jpg", large), ("images[1]", b"")]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Users\\\\me\\\\face.png", "face.png"),
        ("a\x00b\x1b[2J.png", "a?b?[2J.png"),
        ("x" * 3000, "x" * 200),
    ],
)
def test_names_lose_their_folders_and_control_characters(given: str, shown: str) -> None:
    assert read(form(("images", given, b"d")), content_type=FORM) == [(shown, b"d")]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (form(("images", "a", b"d"), end=b""), FORM, 400),
        (b"not a form", FORM, 400),
        (form(("images", "a", b"d")), "multipart/form-data", 400),
        (form(("images", "a", b"d")), "multipart/form-data; boundary=" + "b" * 300, 400),
        (form(("images", "x" * 9000, b"d")), FORM, 400),
        (form(*[("images", "a", b"d")] * 4), FORM, 400),
        (form(("image", "a", b"d")), FORM, 422),
        (form(), FORM, 422),
        (b"d", "video/mp4", 415),
    ],
)
def test_damaged_and_unknown_forms(body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(ProblemError) as error:
        read(body, content_type=content_type)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("read_body", "status"),
    [
        (lambda: read(length=101, size=100), 413),
        (lambda: read(*[b"x" * 60] * 2, size=100), 413),
        (lambda: read(b"x" * 60, budget=50), 429),
        (lambda: read(*[b"x"] * 50, pause=0.02, timeouts=Timeouts(body_grace=0.1)), 408),
        (lambda: read(b"x" * 50, pause=0.2, timeouts=Timeouts(body=0.1)), 408),
    ],
)
def test_bodies_beyond_a_limit_are_refused_while_they_arrive(read_body: Callable[[], object], status: int) -> None:
    with pytest.raises(ProblemError) as error:
        read_body()
    assert error.value.status == status


def test_a_body_may_pause_after_a_fast_start() -> None:
    ((_, data),) = read(b"x" * 90, b"y", pause=0.6, timeouts=Timeouts(body_grace=1, body_rate=30))
    assert len(data) == 91
