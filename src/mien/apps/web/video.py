"""A video as the body of a request: kept in memory, worked on while the client reads, one JSON line a frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from mien.apps.web.answers import frame_answer
from mien.apps.web.engine import Engine
from mien.apps.web.problems import ProblemError, as_problem
from mien.apps.web.settings import ServerLimits
from mien.core.image import Limits
from mien.inference.recognizer import Recognizer
from mien.inference.video import FaceStream, StreamSettings, VideoError
from mien.inference.video.decoding import EncodedVideo

logger = logging.getLogger(__name__)

Answer = dict[str, Any]

LINES_TYPE = "application/x-ndjson"
# What the video is called in errors: the path it has for a moment says nothing to the client.
SUBJECT = "The video"
# A client that reads nothing for so long is taken for gone, in seconds.
PATIENCE = 30.0


class Lines(StreamingResponse):
    """JSON lines that a `VideoWork` gives one by one, as fast as the client reads."""

    media_type = LINES_TYPE

    def __init__(self, work: VideoWork) -> None:
        super().__init__(work.lines())
        self._work = work

    async def stream_response(self, send: Send) -> None:
        """Send the lines; a client that stops reading is left."""

        async def patient(message: Message) -> None:
            async with asyncio.timeout(PATIENCE):
                await send(message)

        with contextlib.suppress(TimeoutError):
            await super().stream_response(patient)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, and let go of the video whatever happens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.end()


class VideoWork:
    """One video being worked on, in a thread of its own; it fills a place until it has ended."""

    def __init__(self, engine: Engine, answers: Generator[Answer]) -> None:
        self._engine = engine
        self._answers = answers
        self._place = engine.videos.take()
        self._threads = ThreadPoolExecutor(1, "mien video")
        self._first: Answer | None = None

    @classmethod
    async def begin(cls, engine: Engine, recognizer: Recognizer, settings: StreamSettings, data: bytes) -> VideoWork:
        """Recognise the first frame, so that a video that cannot be read is told of by the status.

        Raises:
            ProblemError: It cannot be read (422), or others fill the places (429).
        """
        work = cls(engine, _answers(data, engine.settings.limits, recognizer, settings))
        try:
            work._first = await work._next()
        except BaseException as error:
            work.end()
            if isinstance(error, VideoError):
                raise ProblemError("unreadable-video", str(error)) from None
            raise
        return work

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the lines; an error in the middle is the last of them."""
        answer = self._first
        while answer is not None:
            yield json.dumps(answer).encode() + b"\n"
            try:
                answer = await self._next()
            except Exception as error:  # the status has been sent, so everything must be told here
                if isinstance(error, VideoError):
                    problem = ProblemError("unreadable-video", str(error))
                else:
                    problem = as_problem(error)
                    logger.warning("A video ended early: %s", error)
                yield json.dumps({"type": "error", "problem": problem.to_json()}).encode() + b"\n"
                return

    def end(self) -> None:
        """Close the video when the frame that is worked on is done, and then make the place free."""
        self._place.hand_over(self._threads.submit(self._answers.close))
        self._threads.shutdown(wait=False)

    async def _next(self) -> Answer | None:
        answer = await self._engine.wait(self._engine.submit(lambda: next(self._answers, None), self._threads))
        if answer is not None and answer["type"] == "frame":
            self._engine.metrics.pictures.labels("video").inc()
        return answer


def _answers(data: bytes, limits: ServerLimits, recognizer: Recognizer, settings: StreamSettings) -> Generator[Answer]:
    """Yield a `frame` for each frame, and an `end` that says whether there were more than are taken."""
    with _as_file(data) as path:
        try:
            video = EncodedVideo(path, Limits(max_pixels=limits.frame_pixels))
        except VideoError as error:
            raise VideoError(str(error).replace(str(path), SUBJECT)) from None
        video.name = SUBJECT
        faces, count = FaceStream(recognizer, settings), 0
        try:
            for frame in video.frames():
                if count == limits.video_frames:
                    yield {"type": "end", "frames": count, "is_whole": False}
                    return
                result = faces.process(frame.pixels, frame.time)
                yield frame_answer(result, recognizer.card) | {"frame": frame.index}
                count += 1
        finally:
            video.close()
    yield {"type": "end", "frames": count, "is_whole": True}


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    """Give bytes a path for as long as the block lasts: in memory under Linux, elsewhere in a private folder."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("video", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(number), "wb") as file:
                file.write(data)
            yield Path(f"/proc/self/fd/{number}")
        finally:
            os.close(number)
        return
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        path = Path(folder, "video")
        path.write_bytes(data)
        yield path
