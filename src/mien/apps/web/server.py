"""The application, and the process that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import mien
from mien.apps.web import api, live
from mien.apps.web.engine import Engine
from mien.apps.web.lingering import Linger
from mien.apps.web.metrics import CountRequests, Metrics
from mien.apps.web.problems import add_handlers
from mien.apps.web.schemas import PROBLEM_RESPONSES
from mien.apps.web.security import Guard
from mien.apps.web.settings import ServerSettings
from mien.apps.web.startup import starting_lines
from mien.apps.web.transport import listen, make_server, run_server

DESCRIPTION = (
    "Finds faces and classifies their *apparent* expressions: how they look, not what people feel. Images are kept in "
    "memory while they are processed, and neither stored nor logged."
)
STATIC = Path(str(resources.files("mien.apps.web") / "static"))


def create_app(engine: Engine) -> ASGIApp:
    """Return the application for an engine, which is closed when the application shuts down."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(engine.close)

    app = FastAPI(
        title="mien",
        version=mien.__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; `/docs` is ours
        redoc_url=None,
        lifespan=lifespan,
        responses=PROBLEM_RESPONSES,
    )
    app.state.engine = engine
    add_handlers(app)
    for router in (api.router, api.open_router, live.router):
        app.include_router(router)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    # browsers refuse scripts of any other type, and some systems have another one registered
    mimetypes.add_type("text/javascript", ".js")
    app.mount("/static", StaticFiles(directory=STATIC))
    # around FastAPI's own handler of unexpected errors, whose response needs the headers too
    guarded = Guard(TrustedHostMiddleware(app, engine.settings.allowed_hosts, www_redirect=False))
    return CountRequests(Linger(guarded), engine.metrics)


def serve(settings: ServerSettings, announce: Callable[[list[str]], None]) -> None:
    """Serve until a signal arrives; `announce` is called with `starting_lines`, and after Ctrl-C with "Stopped.".

    SIGTERM: `/readyz` answers 503 for `timeouts.drain` seconds; then no more connections are accepted, requests in
    progress are finished within 30 seconds, and the process ends. SIGINT skips the first part.

    Raises:
        MienError: A model, a detector or the address cannot be used.
    """
    engine = Engine(settings, Metrics())
    with listen(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        announce(starting_lines(engine, host, port))
        run_server(make_server(create_app(engine), engine), listener, announce)
