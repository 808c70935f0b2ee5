"""Request bodies: read within limits of size and time, and split into files, all in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from mien.apps.web.names import refuse_unknown
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import Timeouts

MAX_NAME_LENGTH = 200
FORM = "multipart/form-data"
RAW = "application/octet-stream"


@dataclass(frozen=True)
class Upload:
    """What a request may contain.

    Attributes:
        field: Name of the form's fields.
        kind: Main media type of a raw body: `image` or `video`.
        files: Most files.
        size: Largest body, in bytes.
    """

    field: str
    kind: str
    files: int
    size: int


class FormParser(MultiPartParser):
    """Starlette's parser, without its temporary files, and with an error for a form that is cut off."""

    spool_max_size = 0  # unlimited
    is_complete = False

    def on_end(self) -> None:
        """Note the last boundary."""
        self.is_complete = True

    async def parse(self) -> FormData:
        """Return the fields; `MultiPartException` if they cannot be read."""
        self.stream = self._check_end(self.stream)
        return await super().parse()

    async def _check_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for piece in stream:
            yield piece
        if not self.is_complete:
            raise MultiPartException("The last boundary is missing.")


def check_type(request: Request, upload: Upload) -> str:
    """Return the body's media type; `ProblemError` (415) if it is not accepted."""
    given = request.headers.get("content-type", RAW).partition(";")[0].strip().lower()
    if given in (FORM, RAW) or given.startswith(f"{upload.kind}/"):
        return given
    raise ProblemError("unsupported-type", f"The body is not of type {FORM}, {upload.kind}/* or {RAW}.")


async def read_files(
    request: Request, upload: Upload, timeouts: Timeouts, take: Callable[[int], None]
) -> list[tuple[str, bytes]]:
    """Return the files of a body as (name, content): those of a form, or the body itself.

    Args:
        request: Its body must not have been read.
        upload: What is accepted.
        timeouts: How slowly the body may arrive.
        take: Called with the size of each piece that is held in memory.

    Raises:
        ProblemError: Too large (413), too slow (408), other requests use the memory (429), the form is damaged or has
            too many files (400), or its fields are not the expected ones (422).
    """
    stream = read_pieces(request, upload.size, timeouts, take)
    if check_type(request, upload) != FORM:
        return [(upload.kind, b"".join([piece async for piece in stream]))]
    try:
        form = await FormParser(request.headers, stream, max_files=upload.files, max_fields=1).parse()
    except MultiPartException as error:
        raise ProblemError("bad-request", f"The form cannot be read: {error.message}") from None
    try:
        refuse_unknown("form field", form, (upload.field,), "Options belong in the query.")
        files = [file for file in form.getlist(upload.field) if isinstance(file, UploadFile)]
        if not files or len(files) < len(form.multi_items()):
            raise ProblemError("invalid", f"The form must have only files, in fields named '{upload.field}'.")
        return [(clean_name(f.filename or "") or f"{upload.field}[{i}]", await f.read()) for i, f in enumerate(files)]
    finally:
        await form.close()


async def read_pieces(
    request: Request, size: int, timeouts: Timeouts, take: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
    """Yield a body piece by piece; see `read_files`. No server or framework limits the rate of a body."""
    too_large = ProblemError("too-large", f"The body is larger than {size / 2**20:g} MiB; send less at a time.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > size:
        raise too_large
    start, received, stream = time.monotonic(), 0, request.stream()
    while True:
        deadline = start + min(timeouts.body, timeouts.body_grace + received / timeouts.body_rate)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                piece = await anext(stream, None)
        except TimeoutError:
            seconds = time.monotonic() - start
            detail = f"Only {received} bytes of the body have arrived within {seconds:.1f} s; send them faster."
            raise ProblemError("too-slow", detail) from None
        if piece is None:
            return
        received += len(piece)
        if received > size:
            raise too_large
        take(len(piece))
        yield piece


def clean_name(name: str) -> str:
    """Return a client's file name without folders, printable and short: it is repeated in results and errors."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c if c.isprintable() else "?" for c in last)[:MAX_NAME_LENGTH]
