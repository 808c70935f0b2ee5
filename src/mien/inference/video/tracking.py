"""Track faces through a video: the same person keeps the same tracker id.

Between detections, boxes follow the optical flow. Detections are assigned to tracks by a cost matrix of position, size
and appearance. A face that was hidden is re-identified by its appearance embedding near its predicted position. All
times are in seconds, so frame rates may vary. `docs/tracking.md` has measurements and a comparison with other trackers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box, Detection
from mien.inference.video.appearance import Window, cut_window
from mien.inference.video.assignment import assign
from mien.inference.video.track import MAX_COST, Track, TrackedDetection, is_inside, touch

Candidate = tuple[Detection, Window]
TENTATIVE_TIME = 0.5  # how long a new face near a hidden one, which it may be, has no tracker id, in seconds
PREDICTED_TIME = 1.0  # how long the predicted box of a hidden face is reported
MEMORY_TIME = 3.0  # how long a hidden face can be re-identified
CONFIRM_SCORE = 0.85  # a detection with at least this score is reported at once, others after a second one
# Caps costs, so that one impossible match cannot outweigh many good ones.
FORBIDDEN = 1e3
# Frames are compared at SAMPLES x SAMPLES pixels; a correlation below SAME_VIEW is a cut.
SAMPLES, SAME_VIEW = 24, 0.6
MAX_COORDINATE = 1e6  # pixels
# Only the hidden faces seen last are remembered: a bad detector must not fill the memory.
MAX_HIDDEN = 100


class Tracker:
    """Assigns tracker ids to faces, frame by frame. Not thread-safe."""

    def __init__(self) -> None:
        """Start without tracks."""
        self._tracks: list[Track] = []
        self._last_id = 0
        self._clock = 0.0
        self._last_time = math.inf
        self._shape = (0, 0)
        self._sample = np.zeros(SAMPLES * SAMPLES * 3, dtype=np.float32)

    @property
    def active(self) -> frozenset[int]:
        """The tracker ids that can still occur: of seen faces, and of hidden ones that can be re-identified."""
        return frozenset(track.tracker_id for track in self._tracks if track.tracker_id)

    def update(self, pixels: NDArray[np.uint8], detections: Sequence[Detection], time: float) -> list[TrackedDetection]:
        """Process a frame on which the detector ran.

        Args:
            pixels: The RGB frame (h, w, 3), uint8. A frame of another size than the last is the same view, resized.
            detections: The faces found. Boxes that are not finite rectangles are ignored.
            time: The frame's time in seconds. If it runs backwards, no time passes.

        Returns:
            The faces of this frame by tracker id, including hidden ones with a predicted box.
        """
        self._advance(pixels, time)
        candidates = [(face, cut_window(pixels, face.box)) for face in detections if _is_rectangle(face.box)]
        confirmed = [track for track in self._tracks if track.tracker_id]
        tentative = [track for track in self._tracks if not track.tracker_id]
        rest = self._assign(confirmed, candidates)
        rest = [face for face in rest if not any(track.is_at(face[0].box) for track in confirmed)]
        rest = self._assign(tentative, rest)
        for track in confirmed:
            is_missed = track.is_seen and not track.is_detected
            if is_missed and any(other.is_at(track.motion.box) for other in confirmed):
                track.hide()  # it has followed the other face
        started = [Track(*face, self._clock) for face in rest]
        self._tracks = confirmed + [track for track in tentative if track.is_detected] + started
        hidden = [track for track in confirmed if not track.is_detected]
        for track in self._tracks:
            if not track.tracker_id and self._is_confirmed(track, hidden):
                self._last_id += 1
                track.tracker_id = self._last_id
        return self._report(pixels)

    def follow(self, pixels: NDArray[np.uint8], time: float) -> list[TrackedDetection]:
        """Process a frame on which the detector did not run; see `update`."""
        self._advance(pixels, time)
        return self._report(pixels)

    def _advance(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Move all tracks to this frame."""
        step = max(time - self._last_time, 0.0)
        self._clock, self._last_time = self._clock + step, time
        height, width = pixels.shape[:2]
        if (height, width) != self._shape:
            for track in self._tracks:
                track.rescale(width / self._shape[1], height / self._shape[0])
        self._shape = height, width
        followed = [track for track in self._tracks if track.is_seen]
        for track in self._tracks:
            track.advance(pixels, self._clock, step)
        is_cut = self._is_other_view(pixels) and not any(track.is_seen for track in followed)
        for track in self._tracks:
            track.is_cut = track.is_cut or is_cut
            others = (other for other in self._tracks if other is not track)
            track.is_overlapped = any(touch(track.motion.box, other.motion.box) for other in others)

    def _is_other_view(self, pixels: NDArray[np.uint8]) -> bool:
        """Return whether the frame as a whole does not resemble the previous one."""
        rows, columns = (np.arange(SAMPLES) * side // SAMPLES for side in pixels.shape[:2])
        sample = pixels[np.ix_(rows, columns)].astype(np.float32).ravel()
        before, self._sample = self._sample, sample - sample.mean()
        norms = float(np.linalg.norm(before) * np.linalg.norm(self._sample))
        return norms > 0 and float(before @ self._sample) < SAME_VIEW * norms

    def _assign(self, tracks: Sequence[Track], candidates: Sequence[Candidate]) -> list[Candidate]:
        """Match tracks with detections at the lowest total cost, and return the detections left over."""
        costs = np.array([[track.cost(*face) for face in candidates] for track in tracks])
        costs = costs.reshape(len(tracks), len(candidates))
        allowed = costs <= MAX_COST
        matches = {row: column for row, column in assign(np.minimum(costs, FORBIDDEN)) if allowed[row, column]}
        for row, track in enumerate(tracks):
            if row in matches:
                track.match(*candidates[matches[row]], self._clock)
            else:
                track.miss(self._clock)
        return [face for column, face in enumerate(candidates) if column not in matches.values()]

    def _is_confirmed(self, track: Track, hidden: Sequence[Track]) -> bool:
        """Return whether a tentative track is a real face, and cannot be a hidden one that is still half covered."""
        is_sure = track.times_detected > 1 or track.score >= CONFIRM_SCORE
        is_old = self._clock - track.started_at >= TENTATIVE_TIME
        return is_sure and (is_old or not any(other.may_reappear_at(track.motion.box) for other in hidden))

    def _report(self, pixels: NDArray[np.uint8]) -> list[TrackedDetection]:
        """Forget faces that were hidden for too long, and return those to show."""
        seen = [track for track in self._tracks if track.is_seen]
        hidden = sorted((track for track in self._tracks if not track.is_seen), key=lambda track: -track.seen_at)
        oldest = self._clock - MEMORY_TIME
        self._tracks = seen + [track for track in hidden[:MAX_HIDDEN] if track.seen_at >= oldest]
        oldest = self._clock - PREDICTED_TIME
        shown = seen + [track for track in hidden if track.seen_at >= oldest and is_inside(track.motion.box, pixels)]
        reported = [
            TrackedDetection(t.tracker_id, t.motion.box, t.score, t.is_seen, t.roll) for t in shown if t.tracker_id
        ]
        return sorted(reported, key=lambda face: face.track)


def _is_rectangle(box: Box) -> bool:
    is_large_enough = 0 < box.width < MAX_COORDINATE and 0 < box.height < MAX_COORDINATE
    return is_large_enough and abs(box.x) < MAX_COORDINATE and abs(box.y) < MAX_COORDINATE  # False for NaN
