"""A video as the body of a request: kept in memory, processed while the client reads, one JSON line per frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from mien.apps.web.engine import Engine
from mien.apps.web.problems import as_problem
from mien.apps.web.settings import ServerLimits
from mien.inference.recognizer import Recognizer
from mien.inference.video import FaceStream, StreamSettings
from mien.inference.video.decoding import EncodedVideo

logger = logging.getLogger(__name__)

Result = dict[str, Any]

# A client that reads nothing for this long, in seconds, is disconnected.
PATIENCE = 30.0


class JsonLines(StreamingResponse):
    """Results as JSON, one per line, as fast as the client reads; an error in the middle is the last line."""

    media_type = "application/x-ndjson"

    def __init__(self, first: Result, rest: AsyncGenerator[Result, None]) -> None:
        """Take the first result, and the generator that it came from, which is closed whatever happens."""
        super().__init__(_lines(first, rest))
        self._rest = rest

    async def stream_response(self, send: Send) -> None:
        """Send the lines until the client stops reading."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(PATIENCE):
                await send(message)

        with contextlib.suppress(TimeoutError):
            await super().stream_response(send_in_time)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.aclose()


async def _lines(first: Result, rest: AsyncGenerator[Result, None]) -> AsyncGenerator[bytes, None]:
    yield json.dumps(first).encode() + b"\n"
    try:
        async for result in rest:
            yield json.dumps(result).encode() + b"\n"
    except Exception as error:  # the status has been sent, so everything must be reported here
        problem = as_problem(error)
        logger.log(logging.ERROR if problem.status == 500 else logging.INFO, "A video ended early", exc_info=error)
        yield json.dumps({"type": "error", "problem": problem.to_json()}).encode() + b"\n"


async def process_video(
    engine: Engine, recognizer: Recognizer, settings: StreamSettings, data: bytes
) -> AsyncGenerator[Result, None]:
    """Yield a `frame` for each frame, and an `end`; the work is done in a thread of its own.

    Raises:
        ProblemError: Other videos are being processed (429), or a frame takes too long (503).
        VideoError: The video cannot be read.
    """
    engine.videos.take()
    results = _recognize(data, engine.settings.limits, recognizer, settings)
    thread = ThreadPoolExecutor(1, "mien video")
    try:
        while (result := await engine.wait(engine.submit(lambda: next(results, None), thread))) is not None:
            yield result
            engine.metrics.images.labels("video").inc()
    finally:
        # behind the frame in progress: a running generator cannot be closed
        thread.submit(results.close).add_done_callback(lambda _: engine.videos.release())
        thread.shutdown(wait=False)


def _recognize(
    data: bytes, limits: ServerLimits, recognizer: Recognizer, settings: StreamSettings
) -> Generator[Result]:
    faces, count = FaceStream(recognizer, settings), 0
    with contextlib.closing(EncodedVideo(data, limits.frame_pixels)) as video:
        for frame in video.frames():
            if count == limits.video_frames:
                yield {"type": "end", "frames": count, "is_complete": False}
                return
            yield {"type": "frame"} | faces.process(frame.pixels, frame.time).to_json()
            count += 1
    yield {"type": "end", "frames": count, "is_complete": True}
