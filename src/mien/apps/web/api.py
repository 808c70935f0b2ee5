"""The routes of the HTTP API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

from mien.apps.web.bodies import Upload, check_type, read_files
from mien.apps.web.engine import Engine
from mien.apps.web.names import check_query
from mien.apps.web.problems import ProblemError, as_problem
from mien.apps.web.schemas import (
    COMPLETE,
    LINES_RESPONSE,
    VIDEO_RESPONSE,
    Choice,
    Health,
    ModelsResponse,
    Recognition,
    StreamOptions,
    describe_upload,
)
from mien.apps.web.security import require_key
from mien.apps.web.video import JsonLines, Work, process_video
from mien.inference.video.smoothing import SMOOTHING_MODES

router = APIRouter(dependencies=[Depends(require_key), Depends(check_query)])
open_router = APIRouter()  # without a key; balancers may add a query to these addresses
MAX_IMAGES = 16  # per request


async def get_engine(connection: HTTPConnection) -> Engine:
    """Return the engine of the application that a connection belongs to."""
    engine: Engine = connection.app.state.engine
    return engine


LoadedEngine = Annotated[Engine, Depends(get_engine)]


@asynccontextmanager
async def read_video(
    request: Request, engine: Engine, options: StreamOptions
) -> AsyncIterator[tuple[Work, Callable[[int], None]]]:
    """Read an uploaded video, which counts among the server's bytes in memory until the context ends.

    Yields:
        The work on the video, and a function that counts more bytes.
    """
    recognizer = engine.recognizer(options.model, options.detector)
    upload = Upload("video", "video", 1, engine.settings.limits.video_bytes)
    check_type(request, upload)
    engine.videos.check()
    with engine.bytes.share() as take:
        ((_, data),) = await read_files(request, upload, engine.settings.timeouts, take)
        yield Work(recognizer, options.stream_settings(), data, engine.settings.limits), take


@router.post(
    "/v1/recognize",
    response_model=Recognition,
    response_model_exclude_none=True,
    openapi_extra=describe_upload("images", "image", MAX_IMAGES),
    tags=["recognition"],
)
async def recognize(request: Request, engine: LoadedEngine, choice: Annotated[Choice, Query()]) -> dict[str, Any]:
    """Find the faces of one or more images and classify the expression that each appears to show.

    Send a form with one or more files named `images`, or one image as the body. Images that cannot be read are in
    `problems`; if none can be read, the response is a problem. Of an animation or a document, the first frame or page
    is used. Images are only kept in memory.
    """
    recognizer = engine.recognizer(choice.model, choice.detector)
    upload = Upload("images", "image", MAX_IMAGES, engine.settings.limits.body_bytes)
    check_type(request, upload)
    engine.requests.check()
    with engine.bytes.share() as take:
        images = await read_files(request, upload, engine.settings.timeouts, take)
        results, unreadable = await engine.run(lambda: engine.recognize(recognizer, images))
    return {
        "model": choice.model or next(iter(engine.models)),
        "detector": recognizer.detector.name,
        "images": [result.to_json() for result in results],
        "problems": [{"source": name, **as_problem(error).to_json()} for name, error in unreadable],
    }


@router.post(
    "/v1/recognize/video",
    response_class=JsonLines,
    status_code=200,
    responses=LINES_RESPONSE,
    openapi_extra=describe_upload("video", "video", 1),
    tags=["recognition"],
)
async def recognize_video(
    request: Request, engine: LoadedEngine, options: Annotated[StreamOptions, Query()]
) -> Response:
    """Track and classify the faces of a video, and send one line per frame while it is processed.

    Send the video as the body, or a form with one file named `video`. It is only kept in memory.
    """
    async with read_video(request, engine, options) as (work, _):
        results = process_video(engine, work.lines())
        # the first frame comes before the status, which can then report an unreadable video
        return JsonLines(await anext(results), results)


@router.post(
    "/v1/recognize/video/annotated",
    response_class=Response,
    responses=VIDEO_RESPONSE,
    openapi_extra=describe_upload("video", "video", 1),
    tags=["recognition"],
)
async def annotate_video(
    request: Request, engine: LoadedEngine, options: Annotated[StreamOptions, Query()]
) -> Response:
    """Return a video with the boxes and labels of its faces drawn into it, as MP4, when it is complete.

    Send the video as the body, or a form with one file named `video`. Both are only kept in memory.
    """
    async with read_video(request, engine, options) as (work, take):
        file = BytesIO()
        async with aclosing(process_video(engine, work.draw(file))) as frames:
            async for added in frames:
                take(added)
                if await request.is_disconnected():
                    raise ClientDisconnect
        headers = {COMPLETE: str(work.is_complete).lower()}
        return Response(file.getvalue(), headers=headers, media_type="video/mp4")


@router.get("/v1/models", response_model=ModelsResponse, tags=["models"])
async def models(engine: LoadedEngine) -> dict[str, Any]:
    """List the loaded models and detectors."""
    rows = [
        {
            "name": name,
            "labels": model.card.labels.names,
            "input": vars(model.card.input),
            "scores": model.card.scores,
            "unsure_threshold": model.card.unsure_below,
            "licence": engine.licence(name),
            "card": f"/v1/models/{name}/card",
        }
        for name, model in engine.models.items()
    ]
    return {"models": rows, "detectors": engine.detectors, "smoothing": SMOOTHING_MODES}


@router.get("/v1/models/{name}/card", tags=["models"])
async def card(engine: LoadedEngine, name: Annotated[str, Path(max_length=200)]) -> dict[str, Any]:
    """Return a model's whole card: labels, input, crop, recipe, scores and how they were selected."""
    model = engine.models.get(name)
    if model is None:
        raise ProblemError("not-found", "No model of this name is loaded; see /v1/models.")
    fields: dict[str, Any] = json.loads(model.card.to_json())
    return fields


@router.get("/metrics", response_class=Response, tags=["operation"])
async def metrics(engine: LoadedEngine) -> Response:
    """Return counters in Prometheus' text format."""
    return Response(generate_latest(engine.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@open_router.get("/healthz", response_model=Health, tags=["operation"])
async def healthz() -> dict[str, str]:
    """Confirm that the server runs."""
    return {"status": "ok"}


@open_router.get("/readyz", response_model=Health, tags=["operation"])
async def readyz(engine: LoadedEngine) -> dict[str, str]:
    """Confirm that the server accepts requests; 503 while it is shutting down."""
    if engine.is_draining:
        raise ProblemError("shutting-down", "The server is shutting down; send requests to another one.")
    return {"status": "ready"}
