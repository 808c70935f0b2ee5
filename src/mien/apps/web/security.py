"""Who may use the API, and what a browser may do with a response."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import ServerSettings

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_HEADER_BYTES = 16 * 2**10
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: refuses long headers and pages of other sites; sets the security headers of every response.

    Starlette has middleware for CORS, which relaxes the browser's rules, but none that refuses a cross-site request:
    browsers send a simple POST or open a WebSocket from any page without asking.
    """

    def __init__(
        self,
        app: ASGIApp,
        headers: Mapping[str, str] = HEADERS,
        is_kept: Callable[[str], bool] = lambda path: path.startswith("/static/"),
    ) -> None:
        """Protect an application; `is_kept` says of a path whether browsers may keep the response."""
        self._app = app
        self._headers = headers
        self._is_kept = is_kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def protect(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                # browsers keep the page's files, and ask whether they have changed
                headers["Cache-Control"] = "no-cache" if self._is_kept(scope["path"]) else "no-store"
            await send(message)

        try:
            _check(scope)
        except ProblemError as problem:
            await problem.response()(scope, receive, protect)
            return
        await self._app(scope, receive, protect)


def _check(scope: Scope) -> None:
    headers = Headers(scope=scope)
    size = sum(len(name) + len(value) for name, value in headers.raw)
    if size + len(scope["raw_path"]) + len(scope["query_string"]) > MAX_HEADER_BYTES:
        raise ProblemError("large-header", f"The header and the address may have {MAX_HEADER_BYTES} bytes.")
    if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
        return
    # clients other than browsers send neither of these headers
    host = headers.get("host", "")
    origin = urlsplit(headers.get("origin", f"http://{host}"))
    is_own = origin.scheme in ("http", "https") and origin.netloc.lower() == host.lower()
    if not is_own or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ProblemError("forbidden-origin", "The request comes from a page of another site; use the server's own.")


async def require_key(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> None:
    """Refuse a request without the server's key; for `Depends`."""
    check_key(request.app.state.engine.settings, credentials.credentials if credentials else None)


def check_key(settings: ServerSettings, given: str | None) -> None:
    """Compare a key in constant time; `ProblemError` (401) if the server requires one and this is not it."""
    if settings.key is None:
        return
    if given is None:
        raise ProblemError("unauthorized", "This server requires an API key: send 'Authorization: Bearer KEY'.")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), settings.key.encode()):
        raise ProblemError("unauthorized", "The API key is wrong.")
