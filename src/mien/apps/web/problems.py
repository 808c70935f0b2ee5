"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from mien.core.errors import ImageError, MienError
from mien.inference.video.frames import VideoError

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:mien:problem:"
STATUSES = {
    "bad-request": 400,
    "unauthorized": 401,
    "forbidden-origin": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "too-slow": 408,
    "too-large": 413,
    "unsupported-type": 415,
    "unreadable-image": 422,
    "unreadable-video": 422,
    "invalid": 422,
    "queue-full": 429,
    "large-header": 431,
    "internal": 500,
    "timeout": 503,
    "shutting-down": 503,
}


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description=f"{NAMESPACE}KIND, one of: {', '.join(STATUSES)}.")
    title: str
    status: int
    detail: str


class ProblemError(Exception):
    """An error that is sent to the client as problem details."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Take a kind of `STATUSES` and one line: what was received, what was expected, what to do."""
        super().__init__(detail)
        self.kind = kind
        self.status = STATUSES[kind]
        self.detail = detail
        self.headers = dict(headers or {})
        if self.status == 429:
            self.headers.setdefault("Retry-After", "1")
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Bearer realm="mien"')

    def __reduce__(self) -> tuple[type[ProblemError], tuple[str, str, dict[str, str]]]:
        """Return what is pickled."""
        return type(self), (self.kind, self.detail, self.headers)

    def to_json(self) -> dict[str, str | int]:
        """Return the members of RFC 9457."""
        title = self.kind.replace("-", " ").capitalize()
        return {"type": NAMESPACE + self.kind, "title": title, "status": self.status, "detail": self.detail}

    def response(self) -> Response:
        """Return the problem as a response."""
        return JSONResponse(self.to_json(), self.status, self.headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Turn every error of an application into a problem."""

    async def respond(_: Request, error: Exception) -> Response:
        return as_problem(error).response()

    for kind in (ProblemError, MienError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, respond)


def as_problem(error: Exception) -> ProblemError:
    """Return the problem for an error; anything unexpected is `internal`."""
    line = " ".join(str(error).split())
    match error:
        case ProblemError():
            return error
        case HTTPException():
            kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "bad-request")
            line = f"{error.detail}; see /docs for the API."
        case RequestValidationError() | ValidationError():
            # without the values: they may be long, or personal
            rows = [": ".join(filter(None, (".".join(map(str, row["loc"])), row["msg"]))) for row in error.errors()[:3]]
            kind, line = "invalid", "; ".join(rows)
        case ImageError():
            kind = "unreadable-image"
        case VideoError():
            kind = "unreadable-video"
        case MienError():
            kind = "invalid"
        case ClientDisconnect():
            kind, line = "bad-request", "The connection was closed before the response."
        case _:
            kind, line = "internal", "The server has a bug and has logged it; please report it."
    return ProblemError(kind, line, getattr(error, "headers", None))
