"""A video as the body of a request, kept in memory; the answer is one JSON line per frame, or the annotated video."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from mien.apps.web.engine import Engine
from mien.apps.web.problems import ProblemError, as_problem
from mien.apps.web.settings import ServerLimits
from mien.inference.draw import draw_faces
from mien.inference.recognizer import Recognizer
from mien.inference.results import FrameResult
from mien.inference.video import FaceStream, StreamSettings
from mien.inference.video.decoding import EncodedVideo
from mien.inference.video.recording import VideoRecorder

logger = logging.getLogger(__name__)

T = TypeVar("T")
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


@dataclass
class Work:
    """A video to process, and how.

    Attributes:
        recognizer: Finds and classifies the faces.
        settings: How faces are tracked and smoothed.
        data: The file.
        limits: Of the server.
        frames: How many have been processed.
        is_complete: Whether these are all frames of the video.
    """

    recognizer: Recognizer
    settings: StreamSettings
    data: bytes = field(repr=False)
    limits: ServerLimits
    frames: int = 0
    is_complete: bool = True

    def lines(self) -> Generator[Result]:
        """Yield a `frame` for each frame, and an `end`; `VideoError` if the video cannot be read."""
        with self._open() as video:
            for result in self._results(video):
                yield {"type": "frame"} | result.to_json()
        yield {"type": "end", "frames": self.frames, "is_complete": self.is_complete}

    def draw(self, file: BytesIO) -> Generator[int]:
        """Write the video with its boxes and sound as MP4, and yield by how many bytes each frame enlarges the file.

        The file is complete when the generator ends.

        Raises:
            ProblemError: The file gets larger than a request with a video may be.
            VideoError: The video cannot be read.
        """
        size = 0
        with (
            self._open() as video,
            contextlib.closing(VideoRecorder(file, rate=video.rate, sound=video.keep_sound())) as recorder,
        ):
            for result in self._results(video):
                if result.pixels is not None:
                    recorder.write(draw_faces(result.pixels, result.faces), result.time)
                before, size = size, file.getbuffer().nbytes
                if size > self.limits.video_bytes:
                    limit = f"{self.limits.video_bytes / 2**20:g} MiB"
                    raise ProblemError("too-large", f"The annotated video is larger than {limit}; send a shorter one.")
                yield size - before

    def _open(self) -> contextlib.closing[EncodedVideo]:
        return contextlib.closing(EncodedVideo(self.data, self.limits.frame_pixels))

    def _results(self, video: EncodedVideo) -> Iterator[FrameResult]:
        """Yield the faces of each frame, with its pixels, up to the limit."""
        faces = FaceStream(self.recognizer, self.settings)
        for frame in video.frames():
            if self.frames == self.limits.video_frames:
                self.is_complete = False
                return
            yield faces.process(frame.pixels, frame.time)
            self.frames += 1


async def process_video(engine: Engine, results: Generator[T]) -> AsyncGenerator[T, None]:
    """Yield the results for one video; the work is done in a thread of its own.

    Raises:
        ProblemError: Other videos are being processed (429), or a frame takes too long (503).
        VideoError: The video cannot be read.
    """
    engine.videos.take()
    thread = ThreadPoolExecutor(1, "mien video")
    try:
        while (result := await engine.wait(engine.submit(lambda: next(results, None), thread))) is not None:
            yield result
            engine.metrics.images.labels("video").inc()
    finally:
        # behind the frame in progress: a running generator cannot be closed
        thread.submit(results.close).add_done_callback(lambda _: engine.videos.release())
        thread.shutdown(wait=False)
