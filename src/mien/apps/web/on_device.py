"""The page that recognizes on the device: its built files and nothing else, without the API."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mien.apps.web.security import HEADERS, Guard
from mien.apps.web.settings import ServerSettings
from mien.apps.web.startup import addresses
from mien.apps.web.transport import listen, make_server, run_server
from mien.core.errors import MienError

# The networks are WebAssembly, which 'wasm-unsafe-eval' allows; the other two headers give it threads.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = HEADERS | {"Content-Security-Policy": POLICY, "Cross-Origin-Embedder-Policy": "require-corp"}
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
TYPES |= {".webmanifest": "application/manifest+json", ".onnx": "application/octet-stream"}


class Page:
    """What the process serves: files, with nothing to finish when it ends."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.is_draining = False


def find_page(folder: Path | None = None) -> Path:
    """Return the folder with the built page: the one given, or `browser/dist` of the checkout that mien runs from.

    Raises:
        MienError: It has not been built; the message says how.
    """
    root = Path(str(resources.files("mien"))).parents[1]
    place = folder or root / "browser" / "dist"
    if (place / "index.html").is_file() and (place / "service-worker.js").is_file():
        return place
    advice = "build it with `make browser` in a checkout (this needs Node.js)"
    if folder is None and not (root / "browser" / "build.mjs").is_file():
        raise MienError(f"An installed mien has no page for --on-device; {advice}, then name it: --page DIR.")
    raise MienError(f"{place} has no built page; {advice}{', or name its folder: --page DIR' * (folder is None)}.")


def create_page(folder: Path, settings: ServerSettings) -> ASGIApp:
    """Return the application that serves a built page."""
    for suffix, media_type in TYPES.items():  # browsers refuse scripts of another type, which some systems have
        mimetypes.add_type(media_type, suffix)
    app = Starlette(routes=[Mount("/", StaticFiles(directory=folder, html=True))])
    return Guard(
        TrustedHostMiddleware(app, settings.allowed_hosts, www_redirect=False), PAGE_HEADERS, is_kept=lambda _: True
    )


def serve_page(folder: Path | None, settings: ServerSettings, announce: Callable[[list[str]], None]) -> None:
    """Serve the built page until a signal arrives; `announce` is called with the lines to print.

    Raises:
        MienError: The page has not been built, or the address cannot be used.
    """
    place = find_page(folder)
    with listen(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        first, *others = addresses(host, port)
        lines = [f"Serving at {first}/ (stop with Ctrl-C)", *(f"  also at   {address}/" for address in others)]
        lines += ["  page      recognizes in the browser; images never leave the device, and there is no API"]
        if not settings.is_loopback:
            lines += ["  note      browsers allow cameras and threads on other machines only over https"]
        announce(lines)
        run_server(make_server(create_page(place, settings), Page(settings)), listener, announce)
