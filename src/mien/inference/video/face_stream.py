"""Faces in videos: detected, tracked, classified and smoothed over time.

`FaceStream` processes one frame at a time; `stream` processes a whole source, with the steps in parallel threads.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.image import as_rgb
from mien.core.paths import AnyPath
from mien.core.types import TrackedFace
from mien.inference.recognizer import Recognizer
from mien.inference.results import FrameResult
from mien.inference.video.frames import Frame, VideoError, VideoSource
from mien.inference.video.pipeline import Stage, run_pipeline
from mien.inference.video.smoothing import TIME_CONSTANT, Smoother, SmoothingMode
from mien.inference.video.sources import open_video
from mien.inference.video.track import TrackedDetection
from mien.inference.video.tracking import Tracker

# Queues hold 4 frames of up to 1080p, or 1 larger frame: a frame of 8K takes 106 MB.
CAPACITY, LARGE_FRAME, CAPACITY_LARGE = 4, 1920 * 1088, 1
DETECT_WITHIN = 0.25  # run the detector at least this often, in seconds, at low frame rates too


@dataclass(frozen=True)
class StreamSettings:
    """How a video is processed."""

    detect_every: int = 3  # run the detector on every n-th frame; track faces in between
    smoothing: SmoothingMode = "adaptive"  # see `Smoother`
    time_constant: float = TIME_CONSTANT  # of the smoothing, in seconds

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise VideoError(f"detect_every is {self.detect_every}; expected 1 frame or more.")
        Smoother(self.smoothing, self.time_constant)  # raises an error if they are invalid


DEFAULTS = StreamSettings()


@dataclass(frozen=True)
class FrameFaces:
    """The tracked faces of a frame."""

    frame: Frame
    dropped: int  # how many frames have been dropped so far
    active: frozenset[int]  # the tracker ids that may still occur
    tracked: list[TrackedDetection]
    crops: list[NDArray[np.uint8]]  # of the tracked faces that are seen, in order


class FaceStream:
    """The faces of one camera, video or client, frame by frame.

    Call `process` from one thread at a time. Or call `find` in one thread and `classify` in another, each with the
    frames in order.
    """

    def __init__(self, recognizer: Recognizer, settings: StreamSettings = DEFAULTS) -> None:
        """Start without faces. Several streams may share a recognizer."""
        self._recognizer = recognizer
        self._settings = settings
        self._tracker = Tracker()
        self._frames_since_detection = 0
        self._detected_at = -math.inf
        self._processed = 0
        self._histories: dict[int, _History] = {}

    def process(self, pixels: NDArray[Any], time: float) -> FrameResult:
        """Return the faces of the next frame.

        Args:
            pixels: An upright RGB image, as an array that `Recognizer.recognize` takes; else `ImageError`.
            time: Seconds from any fixed moment; more than at the previous frame.
        """
        return self.classify([self.find(Frame(self._processed, time, as_rgb(pixels)))])[0]

    def find(self, frame: Frame) -> FrameFaces:
        """Detect the faces of a frame, or follow those of the previous frame, and crop them."""
        if not math.isfinite(frame.time):
            raise MienError(f"A frame's time must be a finite number of seconds; got {frame.time}.")
        self._processed += 1
        if self._recognizer.is_whole_image:
            faces = self._recognizer.detect(frame.pixels)
            tracked = [TrackedDetection(1, face.box, face.score, is_seen=True, roll=face.roll) for face in faces]
            active = frozenset({1})
        else:
            tracked = self._track(frame)
            active = self._tracker.active
        crops = [self._recognizer.crop(frame.pixels, t.box, t.roll) for t in tracked if t.is_seen]
        return FrameFaces(frame, frame.index + 1 - self._processed, active, tracked, crops)

    def classify(self, found: Sequence[FrameFaces]) -> list[FrameResult]:
        """Score the faces of several frames in one forward pass, and smooth them."""
        scores = self._recognizer.score([crop for faces in found for crop in faces.crops])
        rows = zip(scores.probabilities, scores.reject, strict=True)
        return [self.smooth(faces, rows) for faces in found]

    def smooth(self, found: FrameFaces, rows: Iterator[tuple[NDArray[np.float32], float]]) -> FrameResult:
        """Smooth the probabilities of each track, and leave out boxes rejected as non-faces.

        `rows` yields for each crop its probabilities (labels,) and the probability that it is a non-face.
        """
        frame, faces = found.frame, list[TrackedFace]()
        self._histories = {track: history for track, history in self._histories.items() if track in found.active}
        for tracked in found.tracked:
            if tracked.track not in self._histories:
                self._histories[tracked.track] = _History(self._settings)
            history = self._histories[tracked.track]
            if tracked.is_seen:
                history.face = self._smooth(history, tracked, *next(rows), frame.time)
            if history.face is not None:  # a hidden face keeps the last expression seen
                faces.append(replace(history.face, box=tracked.box, is_seen=tracked.is_seen))
        height, width = frame.pixels.shape[:2]
        return FrameResult(
            index=frame.index,
            time=frame.time,
            width=width,
            height=height,
            faces=faces,
            labels=self._recognizer.card.labels.names,
            dropped=found.dropped,
            pixels=frame.pixels,
        )

    def _track(self, frame: Frame) -> list[TrackedDetection]:
        self._frames_since_detection += 1
        is_due = self._frames_since_detection >= self._settings.detect_every
        if not (is_due or frame.time - self._detected_at >= DETECT_WITHIN):
            return self._tracker.follow(frame.pixels, frame.time)
        self._frames_since_detection, self._detected_at = 0, frame.time
        return self._tracker.update(frame.pixels, self._recognizer.detect(frame.pixels), frame.time)

    def _smooth(
        self, history: _History, tracked: TrackedDetection, raw: NDArray[np.float32], reject: float, time: float
    ) -> TrackedFace | None:
        """Return the face with smoothed probabilities, or None if the smoothed rejection says non-face."""
        reject = float(history.rejection.update(np.array([1 - float(reject), float(reject)]), time)[1])
        probabilities = history.probabilities.update(raw, time)
        if not self._recognizer.is_face(reject):
            return None
        names = self._recognizer.card.labels.names
        return TrackedFace(
            box=tracked.box,
            score=tracked.score,
            label=names[int(np.argmax(probabilities))],
            probabilities=dict(zip(names, probabilities.tolist(), strict=True)),
            track=tracked.track,
            raw=dict(zip(names, raw.tolist(), strict=True)),
            roll=tracked.roll,
            unsure_below=self._recognizer.card.unsure_below,
        )


class _History:
    """The smoothed scores of one track, and its last face."""

    def __init__(self, settings: StreamSettings) -> None:
        self.probabilities, self.rejection = (Smoother(settings.smoothing, settings.time_constant) for _ in range(2))
        self.face: TrackedFace | None = None


def stream(
    source: AnyPath | bytes | Iterable[NDArray[Any]] | VideoSource,
    recognizer: Recognizer | None = None,
    settings: StreamSettings = DEFAULTS,
) -> Generator[FrameResult, None, None]:
    """Yield the faces of every frame of a video, camera or sequence of images, in order.

    Frames are decoded, searched and classified in threads, a few frames ahead of the caller. A live source drops frames
    when the caller is slower; a file drops none. The source is closed at the end.

    Args:
        source: A video file or its content, `camera:0`, a stream at rtsp:// or http(s)://, RGB arrays, or an open
            source.
        recognizer: By default `Recognizer()`.
        settings: See `StreamSettings`.

    Raises:
        VideoError: The source cannot be opened. If it breaks off later, the iterator raises this error after the
            results of all readable frames.
        MissingExtraError: The source requires PyAV, which is not installed.

    Examples:
        >>> import mien, numpy as np
        >>> images = np.zeros((2, 120, 160, 3), np.uint8)
        >>> for frame in mien.stream(images, mien.Recognizer(detector="none", use_rejection=False)):
        ...     print(frame.time, [face.track for face in frame.faces])
        0.0 [1]
        0.04 [1]
    """
    faces = FaceStream(recognizer or Recognizer(), settings)  # first, because an error would leave the source open
    video = source if isinstance(source, VideoSource) else open_video(source)
    is_large = video.frame_pixels is not None and video.frame_pixels > LARGE_FRAME
    capacity = CAPACITY_LARGE if is_large else CAPACITY
    stages: list[Stage] = [(lambda frames: map(faces.find, frames), 1), (faces.classify, capacity)]
    return run_pipeline(_frames(video), stages, capacity, use_latest=video.is_live)


def _frames(video: VideoSource) -> Generator[Frame, None, None]:
    with closing(video):
        yield from video.frames()
