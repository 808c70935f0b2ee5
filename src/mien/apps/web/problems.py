"""Errors as problem details (RFC 9457): one kind each, with its status and a detail that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from mien.core.errors import ImageError, MienError

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:mien:problem:"
RETRY_SECONDS = 1

# kind -> (status, title)
KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be understood"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden-origin": (403, "Another site may not ask"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This cannot be done here"),
    "too-slow": (408, "The request came too slowly"),
    "too-large": (413, "The request is too large"),
    "unsupported-type": (415, "This type of body is not taken"),
    "unknown-host": (421, "The server does not go by this name"),
    "unreadable-picture": (422, "A picture cannot be read"),
    "unreadable-video": (422, "The video cannot be read"),
    "invalid": (422, "A value does not fit"),
    "frame-in-flight": (429, "The frame before has not been answered"),
    "queue-full": (429, "Too many requests at the moment"),
    "large-header": (431, "The header of the request is too large"),
    "internal": (500, "The server has a fault"),
    "timeout": (503, "The answer took too long"),
    "shutting-down": (503, "The server is about to stop"),
}
STATUS_KINDS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed"}


class ProblemError(Exception):
    """An error that the client is told of as problem details."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Take a kind of `KINDS` and one line: what was given, what was expected, what to do."""
        super().__init__(detail)
        self.kind = kind
        self.status, self.title = KINDS[kind]
        self.detail = detail
        self.headers = dict(headers or {})
        if self.status == 429:
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Bearer realm="mien"')

    def to_json(self) -> dict[str, Any]:
        """Return the members of RFC 9457."""
        return {"type": NAMESPACE + self.kind, "title": self.title, "status": self.status, "detail": self.detail}

    def response(self) -> Response:
        """Return the problem as a response."""
        return JSONResponse(self.to_json(), self.status, self.headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Make every error of an application a problem."""

    async def _problem(_: Request, error: Exception) -> Response:
        return as_problem(error).response()

    for kind in (ProblemError, MienError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _problem)


def as_problem(error: Exception) -> ProblemError:
    """Return the problem that an error is told as; what is unforeseen is told as `internal`."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        kind = STATUS_KINDS.get(error.status_code, "bad-request")
        detail = {"not-found": "No such address; see /openapi.json for those there are."}.get(kind, str(error.detail))
        return ProblemError(kind, detail, error.headers)
    if isinstance(error, RequestValidationError):
        return ProblemError("invalid", _validation(error))
    if isinstance(error, MienError):
        kind = "unreadable-picture" if isinstance(error, ImageError) else "invalid"
        return ProblemError(kind, " ".join(str(error).split()))
    if isinstance(error, ClientDisconnect):
        return ProblemError("bad-request", "The connection was closed before the answer.")
    return ProblemError("internal", "This is a fault of the server, which has noted it in its log; please report it.")


def _validation(error: RequestValidationError) -> str:
    """Say what does not fit, without repeating values: they may be long, or personal."""
    told = [f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()[:3]]
    return "; ".join(told) or "The request does not fit the schema."
