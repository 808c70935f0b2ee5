"""Follow faces through a video: the same person keeps the same number.

Between detections a box follows what it shows by optical flow. A detection goes to the track whose place, size and
looks it fits best; a face that was hidden is known again by its looks near where it was heading. All times are in
seconds, so frame rates may vary. `docs/tracking.md` says what was measured and which trackers were compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ImageError, MienError
from mien.core.types import Box, Detection
from mien.inference.video.appearance import Window, cut_window
from mien.inference.video.assignment import assign
from mien.inference.video.track import Track, TrackedDetection, TrackerSettings, is_inside, touch

__all__ = ["TrackedDetection", "Tracker", "TrackerSettings"]

DEFAULTS = TrackerSettings()
# A face that the detector found, and its window.
Finding = tuple[Detection, Window]
# What the worst pairings cost, so that one of them cannot outweigh many good ones.
FORBIDDEN = 1e3
# A frame is compared with the one before at SAMPLES x SAMPLES pixels; a film has cut where they correlate less.
SAMPLES, SAME_VIEW = 24, 0.6
# Pixels; what lies beyond is no box of a frame.
LARGEST = 1e6
# Of the hidden faces only so many are remembered, the last seen ones; a detector gone wild must not fill the memory.
MOST_HIDDEN = 100


class Tracker:
    """Gives faces numbers and keeps them, frame by frame. Not to be shared between threads."""

    def __init__(self, settings: TrackerSettings = DEFAULTS) -> None:
        """Start with nobody."""
        self._settings = settings
        self._tracks: list[Track] = []
        self._last_number = 0
        self._clock = 0.0
        self._last_time = math.inf
        self._shape = (0, 0)
        self._sample = np.zeros(SAMPLES * SAMPLES * 3, dtype=np.float32)

    @property
    def alive(self) -> frozenset[int]:
        """The numbers that can still occur: faces seen, and hidden ones that are remembered."""
        return frozenset(track.number for track in self._tracks if track.number)

    def update(self, pixels: NDArray[np.uint8], detections: Sequence[Detection], time: float) -> list[TrackedDetection]:
        """Go on to a frame on which the detector ran.

        Args:
            pixels: The RGB frame (h, w, 3), uint8. A frame of another size than the last is the same view, resized.
            detections: The faces found; boxes that are not finite rectangles are left out.
            time: The frame's time in seconds. Where it runs backwards, no time passes.

        Returns:
            The faces of this frame by track number, hidden ones whose place is guessed included.

        Raises:
            ImageError: `pixels` is no RGB frame.
            MienError: `time` is not a finite number.
        """
        self._advance(pixels, time)
        found = [(face, cut_window(pixels, face.box)) for face in detections if _is_rectangle(face.box)]
        known = [track for track in self._tracks if track.number]
        rest = self._pair(known, found)
        unknown = [track for track in self._tracks if not track.number]
        rest = self._pair(unknown, [face for face in rest if not any(track.is_at(face[0].box) for track in known)])
        for track in known:
            if track.is_seen and not track.is_found and any(other.is_at(track.motion.box) for other in known):
                track.hide()  # the other one is what it followed
        new = [Track(*face, self._settings, self._clock) for face in rest]
        self._tracks = known + [track for track in unknown if track.is_found] + new
        hidden = [track for track in known if not track.is_found]
        for track in self._tracks:
            if not track.number and self._is_known_well(track, hidden):
                self._last_number += 1
                track.number = self._last_number
        return self._reports(pixels)

    def follow(self, pixels: NDArray[np.uint8], time: float) -> list[TrackedDetection]:
        """Go on to a frame without detections: the boxes move with what they show.

        Arguments, results and errors are those of `update`.
        """
        self._advance(pixels, time)
        return self._reports(pixels)

    def _advance(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Move all tracks to this frame."""
        if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 3):
            raise ImageError(f"A frame is an RGB picture (h, w, 3) of uint8; got {_described(pixels)}.")
        if pixels.shape[2] != 3 or pixels.size == 0:
            raise ImageError(f"A frame is an RGB picture (h, w, 3) of uint8; got {_described(pixels)}.")
        if not math.isfinite(time):
            raise MienError(f"A frame's time is a finite number of seconds; got {time}.")
        step = max(time - self._last_time, 0.0)
        self._clock, self._last_time = self._clock + step, time
        height, width = pixels.shape[:2]
        if self._tracks and (height, width) != self._shape:
            for track in self._tracks:
                track.rescale(width / self._shape[1], height / self._shape[0])
        self._shape = height, width
        followed = [track for track in self._tracks if track.is_seen]
        for track in self._tracks:
            track.advance(pixels, self._clock, step)
        if self._is_cut(pixels) and not any(track.is_seen for track in followed):
            for track in self._tracks:
                track.is_cut = True
        for track in self._tracks:
            track.is_covered = any(
                touch(track.motion.box, other.motion.box) for other in self._tracks if other is not track
            )

    def _is_cut(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether the picture as a whole is another one than the frame before."""
        rows, columns = (np.arange(SAMPLES) * side // SAMPLES for side in pixels.shape[:2])
        sample = pixels[np.ix_(rows, columns)].astype(np.float32).ravel()
        before, self._sample = self._sample, sample - sample.mean()
        lengths = float(np.linalg.norm(before) * np.linalg.norm(self._sample))
        return lengths > 0 and float(before @ self._sample) < SAME_VIEW * lengths

    def _pair(self, tracks: Sequence[Track], found: Sequence[Finding]) -> list[Finding]:
        """Give each track the detection that fits it, if one does, and return those that are left."""
        costs = np.array([[track.misfit(*face) for face in found] for track in tracks]).reshape(len(tracks), len(found))
        worst = self._settings.worst_fit
        pairs = {row: column for row, column in assign(np.minimum(costs, FORBIDDEN)) if costs[row, column] <= worst}
        for row, track in enumerate(tracks):
            if row in pairs:
                track.find(*found[pairs[row]], self._clock)
            else:
                track.miss(self._clock)
        return [face for column, face in enumerate(found) if column not in pairs.values()]

    def _is_known_well(self, track: Track, hidden: Sequence[Track]) -> bool:
        """Whether a new face is real, and nobody who is hidden nearby and looks different only while half hidden."""
        is_sure = track.times_found > 1 or track.score >= self._settings.sure_score
        is_old = self._clock - track.started_at >= self._settings.doubt_time
        return is_sure and (is_old or not any(other.is_near(track.motion.box) for other in hidden))

    def _reports(self, pixels: NDArray[np.uint8]) -> list[TrackedDetection]:
        """Forget who was hidden for too long, and return whom to show."""
        seen = [track for track in self._tracks if track.is_seen]
        hidden = sorted((track for track in self._tracks if not track.is_seen), key=lambda track: -track.seen_at)
        oldest = self._clock - self._settings.memory_time
        self._tracks = seen + [track for track in hidden[:MOST_HIDDEN] if track.seen_at >= oldest]
        oldest = self._clock - self._settings.guess_time
        shown = seen + [track for track in hidden if track.seen_at >= oldest and is_inside(track.motion.box, pixels)]
        return [track.report() for track in sorted(shown, key=lambda track: track.number) if track.number]


def _is_rectangle(box: Box) -> bool:
    sides_fit = 0 < box.width < LARGEST and 0 < box.height < LARGEST
    return sides_fit and abs(box.x) < LARGEST and abs(box.y) < LARGEST  # NaN compares as False


def _described(pixels: object) -> str:
    if isinstance(pixels, np.ndarray):
        return f"shape {pixels.shape} of {pixels.dtype}"
    return f"a {type(pixels).__name__}"
