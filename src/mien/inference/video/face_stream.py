"""Faces of moving pictures: found, followed, recognised and smoothed over time.

`FaceStream` does one frame after the other; `stream` does a whole source, with the steps side by side in threads.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import did_you_mean
from mien.core.image import as_rgb
from mien.core.types import FrameResult, TrackedFace
from mien.inference.model import Scores
from mien.inference.recognizer import Recognizer
from mien.inference.video.frames import DEFAULT_RATE, Frame, VideoError, VideoSource
from mien.inference.video.pipeline import Channel, run_pipeline
from mien.inference.video.smoothing import SMOOTHING_MODES, Smoother, SmoothingMode
from mien.inference.video.sources import open_video
from mien.inference.video.tracking import TrackedDetection, Tracker

# Frames of up to 1080p wait four in a queue, larger ones one: a frame of 8K takes 106 MB.
WAITING, LARGE_FRAME, WAITING_LARGE = 4, 1920 * 1088, 1


@dataclass(frozen=True)
class StreamSettings:
    """How a video is gone through.

    Attributes:
        detect_every: Look for faces in every n-th frame, and follow them in between.
        detect_within: Look for faces at least this often, in seconds: slow cameras get more than every n-th frame.
        smoothing: `off`, `on` or `adaptive` (fast where the evidence is strong), see `mien.inference.video.smoothing`.
        time_constant: Of the smoothing, in seconds; None: the smoother's own.
        rate: Frames a second, where the source is arrays.
        use_pixels: Hand on each frame's pixels with its result.
    """

    detect_every: int = 3
    detect_within: float = 0.25
    smoothing: SmoothingMode = "adaptive"
    time_constant: float | None = None
    rate: float = DEFAULT_RATE
    use_pixels: bool = True

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise VideoError(f"detect_every is {self.detect_every}; expected 1 frame or more.")
        if not self.detect_within > 0:
            raise VideoError(f"detect_within is {self.detect_within}; expected more than 0 seconds.")
        if self.time_constant is not None and not 0 < self.time_constant <= sys.float_info.max:
            raise VideoError(f"time_constant is {self.time_constant}; expected more than 0 seconds.")
        if self.smoothing not in SMOOTHING_MODES:
            known = ", ".join(SMOOTHING_MODES)
            hint = did_you_mean(self.smoothing, SMOOTHING_MODES)
            raise VideoError(f"No smoothing named '{self.smoothing}'.{hint} Smoothing: {known}.")

    def create_smoother(self) -> Smoother:
        """Make a smoother of these settings."""
        if self.time_constant is None:
            return Smoother(self.smoothing)
        return Smoother(self.smoothing, self.time_constant)


SETTINGS = StreamSettings()


@dataclass(frozen=True)
class FrameFaces:
    """A frame with its faces' boxes, and the crops of those that can be seen, in order.

    `alive` are the tracks that may still come back.
    """

    frame: Frame
    dropped: int
    alive: frozenset[int]
    tracked: list[TrackedDetection]
    crops: list[NDArray[np.uint8]]


class FaceStream:
    """One camera, video or client: what is remembered from frame to frame.

    `process` is for one thread at a time. `find`, and `score` with `name`, may run in two threads, each of which takes
    the frames in order.
    """

    def __init__(self, recognizer: Recognizer, settings: StreamSettings = SETTINGS) -> None:
        """Start with no face known; the recogniser may be shared with other streams."""
        self._recognizer = recognizer
        self._settings = settings
        self._tracker = Tracker()
        self._since_detection = 0
        self._detected_at: float | None = None
        self._next_index = 0
        self._dropped = 0
        self._labels = settings.create_smoother()
        self._rejects = settings.create_smoother()
        self._last: dict[int, TrackedFace] = {}

    def process(self, pixels: NDArray[Any], time: float) -> FrameResult:
        """Return the faces of the next frame.

        Args:
            pixels: An upright picture, RGB, as in `Recognizer.recognize`.
            time: Seconds since any fixed moment; later than that of the frame before.

        Raises:
            ImageError: The array is no picture.
        """
        found = self.find(Frame(self._next_index, time, as_rgb(pixels)))
        return self.name(found, self.score([found])[0])

    def find(self, frame: Frame) -> FrameFaces:
        """Find the faces of a frame, or follow those of the frame before, and cut them out."""
        self._dropped += frame.index - self._next_index
        self._next_index = frame.index + 1
        tracked = self._track(frame)
        crops = [self._recognizer.crop(frame.pixels, t.detection.box) for t in tracked if t.is_seen]
        alive = frozenset({1}) if self._recognizer.is_whole_image else self._tracker.alive
        return FrameFaces(frame, self._dropped, alive, tracked, crops)

    def score(self, found: Sequence[FrameFaces]) -> list[Scores]:
        """Score the faces of several frames in one forward pass."""
        scores = self._recognizer.score([crop for faces in found for crop in faces.crops])
        ends = np.cumsum([len(faces.crops) for faces in found])[:-1]
        parts = (np.split(values, ends) for values in (scores.logits, scores.probabilities, scores.reject))
        return [Scores(*rows) for rows in zip(*parts, strict=True)]

    def name(self, found: FrameFaces, scores: Scores) -> FrameResult:
        """Smooth the probabilities of each track, and leave out what is no face."""
        frame, faces, row = found.frame, [], 0
        for tracked in found.tracked:
            face: TrackedFace | None
            if tracked.is_seen:
                face = self._seen(tracked, scores, row, frame.time)
                row += 1
            else:
                face = self._hidden(tracked)
            if face is not None:
                faces.append(face)
        self._forget(found.alive)
        height, width = frame.pixels.shape[:2]
        labels = self._recognizer.card.labels.names
        pixels = frame.pixels if self._settings.use_pixels else None
        return FrameResult(frame.index, frame.time, width, height, faces, labels, found.dropped, pixels)

    def _track(self, frame: Frame) -> list[TrackedDetection]:
        if self._recognizer.is_whole_image:
            (face,) = self._recognizer.detect(frame.pixels)
            return [TrackedDetection(1, face, True)]
        late = self._detected_at is None or frame.time - self._detected_at >= self._settings.detect_within
        if late or self._since_detection + 1 >= self._settings.detect_every:
            self._since_detection, self._detected_at = 0, frame.time
            return self._tracker.update(frame.pixels, self._recognizer.detect(frame.pixels), frame.time)
        self._since_detection += 1
        return self._tracker.follow(frame.pixels, frame.time)

    def _seen(self, tracked: TrackedDetection, scores: Scores, row: int, time: float) -> TrackedFace | None:
        """Return the face, or None for a box that is none; both are decided by what was seen lately."""
        reject = float(scores.reject[row])
        reject = float(self._rejects.update(tracked.track, np.array([1 - reject, reject]), time)[1])
        raw = scores.probabilities[row]
        smooth = self._labels.update(tracked.track, raw, time)
        names = self._recognizer.card.labels.names
        detection = tracked.detection
        face = TrackedFace(
            box=detection.box,
            score=detection.score,
            label=names[int(np.argmax(smooth))],
            probabilities=dict(zip(names, smooth.tolist(), strict=True)),
            track=tracked.track,
            raw=dict(zip(names, raw.tolist(), strict=True)),
        )
        if not self._recognizer.is_face(reject):
            self._last.pop(tracked.track, None)
            return None
        self._last[tracked.track] = face
        return face

    def _hidden(self, tracked: TrackedDetection) -> TrackedFace | None:
        """Return a face that is hidden at the moment with the expression it had."""
        face = self._last.get(tracked.track)
        return face and replace(face, box=tracked.detection.box, is_seen=False)

    def _forget(self, alive: frozenset[int]) -> None:
        self._last = {track: face for track, face in self._last.items() if track in alive}
        self._labels.forget(alive)
        self._rejects.forget(alive)


def stream(
    source: str | Path | Iterable[NDArray[Any]],
    recognizer: Recognizer | None = None,
    settings: StreamSettings = SETTINGS,
) -> Iterator[FrameResult]:
    """Yield the faces of every frame of a video, a camera or pictures, in order.

    Decoding, finding and recognising go on in threads while you look at a result, a few frames ahead. A live source
    drops frames when it is faster than they can be looked at; a file drops none.

    Args:
        source: A video file, `camera:0`, an address at rtsp:// or http(s)://, or RGB arrays.
        recognizer: By default `Recognizer()`.
        settings: See `StreamSettings`.

    Raises:
        VideoError: The source cannot be opened; or, from the iterator, it breaks in the middle: after the results of
            all frames before.
        MissingExtraError: The source needs PyAV, and it is not installed.

    Example:
        >>> import mien
        >>> for frame in mien.stream("party.mp4"):  # doctest: +SKIP
        ...     print(frame.time, [(face.track, face.label) for face in frame.faces])
    """
    video = open_video(source, rate=settings.rate)
    return stream_video(video, recognizer or Recognizer(), settings)


def stream_video(
    video: VideoSource, recognizer: Recognizer, settings: StreamSettings = SETTINGS
) -> Generator[FrameResult, None, None]:
    """Do `stream` for a source that is open; it is closed in the end."""
    faces = FaceStream(recognizer, settings)
    is_large = video.frame_pixels is not None and video.frame_pixels > LARGE_FRAME
    capacity = WAITING_LARGE if is_large else WAITING

    def find(frames: list[Frame]) -> Iterator[FrameFaces]:
        yield from map(faces.find, frames)

    def recognize(found: list[FrameFaces]) -> Iterator[FrameResult]:
        yield from map(faces.name, found, faces.score(found))

    inbox = Channel[Frame](1 if video.is_live else capacity, use_latest=video.is_live)
    yield from run_pipeline(video.frames(), inbox, [(find, 1), (recognize, capacity)], capacity, video.close)
