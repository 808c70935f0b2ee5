"""Who may ask, and what a browser may do with the answer: ASGI middleware around everything."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import ServerSettings

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Without a key are the page itself, the schema, and whether the server is well.
NEED_A_KEY = ("/v1/", "/metrics")
LIVE = "/v1/live"
LARGEST_HEADER = 16 * 2**10  # bytes
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses other sites, unknown host names and wrong keys; sets the headers of every answer."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be passed on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def protect(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check(scope)
        except ProblemError as problem:
            await problem.response()(scope, receive, protect)
            return
        await self._app(scope, receive, protect)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        size = sum(len(name) + len(value) for name, value in headers.raw)
        if size + len(scope["raw_path"]) + len(scope["query_string"]) > LARGEST_HEADER:
            raise ProblemError("large-header", f"Header and address have at most {LARGEST_HEADER} bytes.")
        host = headers.get("host", "")
        known = self._settings.known_hosts
        if known is not None and _without_port(host) not in known:
            raise ProblemError(
                "unknown-host", "The Host header names another server; start this one with --allow-host."
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not _is_same_origin(headers, host):
            raise ProblemError(
                "forbidden-origin", "The request comes from a page of another site; use the server's own."
            )
        is_live = scope["type"] == "websocket" and scope["path"] == LIVE
        if scope["path"].startswith(NEED_A_KEY) and not is_live:  # a browser's WebSocket sends its key as a message
            check_key(self._settings, bearer(headers))


def bearer(headers: Headers) -> str | None:
    """Return the key of an Authorization header, None if there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def check_key(settings: ServerSettings, given: str | None) -> None:
    """Compare a key in constant time; `ProblemError` (401) if one is wanted and this is another."""
    if settings.key is None:
        return
    if given is None:
        raise ProblemError("unauthorized", "This server wants an API key: send 'Authorization: Bearer KEY'.")
    # hashed first: what is compared has always the same length
    if not hmac.compare_digest(_digest(given), _digest(settings.key)):
        raise ProblemError("unauthorized", "The API key is another than this server's.")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Tell whether a browser that sends this shows a page of this server; other clients send no Origin."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
