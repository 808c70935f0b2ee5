"""The web page: its files, read once when the server starts, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from starlette.responses import Response

# By name and not by what the system knows: browsers refuse scripts of any other type.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
}
FRONT_PAGE = "index.html"


def page_router(folder: Traversable | None = None) -> APIRouter:
    """Return a route for each file of a folder; `index.html` is also the front page.

    There is no route for anything else, so no address can lead out of the folder.
    """
    router = APIRouter(include_in_schema=False)
    for name, file in _files(folder or resources.files("mien.apps.web") / "static", ""):
        answer = _answer(file.read_bytes(), TYPES["." + name.rpartition(".")[2]])
        router.add_api_route(f"/{name}", answer, methods=["GET", "HEAD"])
        if name == FRONT_PAGE:
            router.add_api_route("/", answer, methods=["GET", "HEAD"])
    return router


def _answer(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Return the function that answers with a file; a browser that has it already is only told so."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    async def answer(request: Request) -> Response:
        known = {word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")}
        if tag in known:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return answer


def _files(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    """Return the files that may be served, by their address below the folder."""
    found: list[tuple[str, Traversable]] = []
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.is_dir():
            found += _files(file, f"{prefix}{file.name}/")
        elif "." + file.name.rpartition(".")[2] in TYPES:
            found.append((prefix + file.name, file))
    return sorted(found, key=lambda pair: pair[0])
