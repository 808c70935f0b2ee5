"""Request bodies, kept in memory: read within limits of size and time, and divided into their pictures."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mien.apps.web.limits import ByteShare
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import Times

LONGEST_NAME = 200
FORM = "multipart/form-data"
RAW = "application/octet-stream"


@dataclass
class Part:
    """One field of a form: its name, the file name the client gave, and its bytes."""

    name: str = ""
    file: str = ""
    data: bytearray = dataclasses.field(default_factory=bytearray)


async def read_body(request: Request, most: int, share: ByteShare, times: Times) -> bytes:
    """Read a body piece by piece, and stop as soon as it is too large or too slow.

    Args:
        request: Its body must not have been read.
        most: The largest body, in bytes.
        share: Is charged with what is held.
        times: How slowly the body may come.

    Raises:
        ProblemError: Too large (413), too slow (408), or other requests fill the memory (429).
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    start, body = time.monotonic(), bytearray()
    stream = request.stream()
    while True:
        late = min(start + times.body, start + times.body_grace + len(body) / times.body_rate)
        try:
            async with asyncio.timeout(late - time.monotonic()):
                piece = await anext(stream, None)
        except TimeoutError:
            seconds = time.monotonic() - start
            detail = f"After {seconds:.1f} s only {len(body)} bytes have come; send them faster."
            raise ProblemError("too-slow", detail) from None
        if piece is None:
            return bytes(body)
        if len(body) + len(piece) > most:
            raise _too_large(most)
        share.take(len(piece))
        body += piece


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type header, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def files(body: bytes, content_type: str, field: str, most: int) -> list[tuple[str, bytes]]:
    """Return the files of a body as (name, bytes): the parts of a form, or the body itself.

    Args:
        body: The whole body.
        content_type: The request's Content-Type.
        field: The name of the form's fields that hold files.
        most: How many files there may be.

    Raises:
        ProblemError: The form is damaged (400), has fields that are not known, no file (422) or too many (413).
    """
    if media_type(content_type) != FORM:
        return [(field, body)]
    parts = _parse(body, content_type, most)
    for part in parts:
        if part.name != field:
            raise ProblemError("invalid", f"The form has a field '{_clean(part.name)}'; expected only '{field}'.")
    if not parts:
        raise ProblemError("invalid", f"The form has no field; expected one or more named '{field}'.")
    return [(_clean(part.file) or f"{field}[{i}]", bytes(part.data)) for i, part in enumerate(parts)]


class _Form:
    """Takes what the parser reports."""

    def __init__(self, most: int) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._most = most
        self._name = b""
        self._value = b""

    def begin_part(self) -> None:
        if len(self.parts) == self._most:
            raise ProblemError("too-large", f"The form has more than {self._most} parts; send several requests.")
        self.parts.append(Part())

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data += data[start:end]

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self.parts[-1].name = options.get(b"name", b"").decode("utf-8", "replace")
            self.parts[-1].file = options.get(b"filename", b"").decode("utf-8", "replace")
        self._name = self._value = b""

    def end(self) -> None:
        self.is_complete = True


def _parse(body: bytes, content_type: str, most: int) -> list[Part]:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise ProblemError("bad-request", "The form's Content-Type has no boundary.")
    form = _Form(most)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin_part,
                "on_part_data": form.add_data,
                "on_header_field": form.add_header_name,
                "on_header_value": form.add_header_value,
                "on_header_end": form.end_header,
                "on_end": form.end,
            },
        )
        parser.write(body)
    except FormParserError as error:
        raise ProblemError("bad-request", f"The form is damaged ({error}).") from None
    if not form.is_complete:
        raise ProblemError("bad-request", "The form is cut off: its last boundary is missing.")
    return form.parts


def _too_large(most: int) -> ProblemError:
    return ProblemError("too-large", f"The body is larger than {most / 2**20:g} MiB; send less at a time.")


def _clean(name: str) -> str:
    """Return the last part of a path that a client sent, printable and short: it is only ever told back."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c if c.isprintable() else "?" for c in last)[:LONGEST_NAME]
