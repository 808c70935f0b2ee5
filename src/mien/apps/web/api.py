"""The routes of the HTTP API."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Path, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from mien.apps.web.answers import picture_answer, unsure_threshold
from mien.apps.web.bodies import FORM, RAW, files, media_type, read_body
from mien.apps.web.engine import Engine
from mien.apps.web.problems import ProblemError
from mien.apps.web.schemas import (
    FRAME_EXAMPLE,
    Health,
    ModelsAnswer,
    Recognition,
    problem_responses,
    upload,
)
from mien.apps.web.video import Lines, VideoWork
from mien.inference.video import SMOOTHING_MODES, SmoothingMode, StreamSettings

T = TypeVar("T")

router = APIRouter()
PICTURES, VIDEO = "images", "video"
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/gif", "image/tiff", RAW)
VIDEO_TYPES = ("video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/x-msvideo", RAW)
UPLOAD_PROBLEMS = problem_responses(400, 401, 403, 408, 413, 415, 421, 422, 429, 503)

Model = Annotated[str | None, Query(description="A model that is loaded; by default the first.", max_length=200)]
Detector = Annotated[str | None, Query(description="A detector that is loaded; by default the first.", max_length=200)]


@router.post(
    "/v1/recognize",
    response_model=Recognition,
    responses=UPLOAD_PROBLEMS,
    openapi_extra=upload(PICTURES, PICTURE_TYPES, 16),
    tags=["recognition"],
)
async def recognize(request: Request, model: Model = None, detector: Detector = None) -> Response:
    """Find the faces of one or more pictures and say which expression each appears to show.

    Send a form with one or more files named `images`, or one picture as the body. If one picture cannot be read the
    answer is a problem that names it, and none is recognised. Pictures are kept in memory and forgotten.
    """
    engine = engine_of(request)
    recognizer = engine.recognizer(model, detector)
    content_type, limits = _content_type(request, PICTURE_TYPES), engine.settings.limits
    engine.places.check()
    with engine.bytes.share() as share:
        body = await read_body(request, limits.body_bytes, share, engine.settings.times)

        def work() -> list[dict[str, Any]]:
            pictures = files(body, content_type, PICTURES, limits.pictures)
            return [picture_answer(r, recognizer.card) for r in engine.recognize(recognizer, pictures)]

        with engine.places.place() as place:
            images = await _unless_gone(request, engine.run(place, work))
    name = model or next(iter(engine.models))
    return JSONResponse({"model": name, "detector": recognizer.detector.name, "images": images})


@router.post(
    "/v1/recognize/video",
    response_class=Lines,
    status_code=200,
    responses={
        200: {
            "description": "One JSON object a line: `frame`s, then `end`, or `error` with a problem.",
            "content": {Lines.media_type: {"schema": {"type": "string"}, "example": json.dumps(FRAME_EXAMPLE)}},
        },
        **UPLOAD_PROBLEMS,
    },
    openapi_extra=upload(VIDEO, VIDEO_TYPES, 1),
    tags=["recognition"],
)
async def recognize_video(
    request: Request,
    model: Model = None,
    detector: Detector = None,
    smoothing: Annotated[SmoothingMode, Query(description="How probabilities are smoothed over time.")] = "adaptive",
    detect_every: Annotated[int, Query(description="Look for faces in every n-th frame.", ge=1, le=100)] = 3,
) -> Response:
    """Follow and recognise the faces of a video, and send one line a frame while it is worked on.

    Send the video as the body, or a form with one file named `video`. It is kept in memory and forgotten.
    """
    engine = engine_of(request)
    recognizer = engine.recognizer(model, detector)
    content_type, limits = _content_type(request, VIDEO_TYPES), engine.settings.limits
    settings = StreamSettings(detect_every=detect_every, smoothing=smoothing, use_pixels=False)
    engine.videos.check()
    with engine.bytes.share() as share:
        body = await read_body(request, limits.video_bytes, share, engine.settings.times)
        ((_, data),) = await asyncio.to_thread(files, body, content_type, VIDEO, 1)
        work = await VideoWork.begin(engine, recognizer, settings, data)
    return Lines(work)


@router.get("/v1/models", response_model=ModelsAnswer, responses=problem_responses(401, 421), tags=["models"])
async def models(request: Request) -> Response:
    """List the models and detectors that are loaded."""
    engine = engine_of(request)
    rows = [
        {
            "name": name,
            "labels": list(loaded.card.labels.names),
            "input": json.loads(loaded.card.to_json())["input"],
            "scores": loaded.card.scores,
            "unsure_threshold": unsure_threshold(loaded.card),
            "licence": engine.licence(name),
            "card": f"/v1/models/{name}/card",
        }
        for name, loaded in engine.models.items()
    ]
    return JSONResponse({"models": rows, "detectors": engine.detectors, "smoothing": SMOOTHING_MODES})


@router.get("/v1/models/{name}/card", responses=problem_responses(401, 404, 421, 422), tags=["models"])
async def card(request: Request, name: Annotated[str, Path(max_length=200)]) -> dict[str, Any]:
    """Return a model's whole card: labels, input, crop, recipe, scores and how they were selected."""
    loaded = engine_of(request).models.get(name)
    if loaded is None:
        raise ProblemError("not-found", "No model of this name is loaded; /v1/models lists those that are.")
    return cast(dict[str, Any], json.loads(loaded.card.to_json()))


@router.get("/healthz", response_model=Health, responses=problem_responses(421), tags=["operation"])
async def healthz() -> dict[str, str]:
    """Tell that the server runs."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Health, responses=problem_responses(421, 503), tags=["operation"])
async def readyz(request: Request) -> dict[str, str]:
    """Tell whether requests should be sent here: not while the server is about to stop."""
    if engine_of(request).is_draining:
        raise ProblemError("shutting-down", "The server finishes what it has begun; send requests to another.")
    return {"status": "ready"}


@router.get("/metrics", response_class=Response, responses=problem_responses(401, 421), tags=["operation"])
async def metrics(request: Request) -> Response:
    """Return counters in Prometheus' text format."""
    return engine_of(request).metrics.response()


def engine_of(request: Request) -> Engine:
    """Return the engine of the application that a request belongs to."""
    return cast(Engine, request.app.state.engine)


def _content_type(request: Request, types: tuple[str, ...]) -> str:
    """Return the Content-Type; none counts as raw bytes."""
    header = request.headers.get("content-type", "") or RAW
    kind = types[0].partition("/")[0]
    given = media_type(header)
    if given in (FORM, RAW) or given in types or (given.startswith(f"{kind}/") and given != "image/svg+xml"):
        return header
    raise ProblemError("unsupported-type", f"This takes {FORM}, {', '.join(types)}; the body is of another type.")


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Wait for work, or give it up when the client closes the connection."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        for waiting in (task, gone):
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await waiting


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
