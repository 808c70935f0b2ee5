"""One tracked face: its motion, its appearance, and the cost of matching it with a detection."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box, Detection
from mien.inference.video.appearance import Window, cut_window
from mien.inference.video.motion import Motion, measure_shift

# So many appearances of a face are remembered, all less similar to each other than this.
CAPACITY, DISTINCT = 6, 0.95


@dataclass(frozen=True)
class TrackerSettings:
    """Thresholds of the tracker. Lengths are relative to a face's size, times are in seconds.

    A cost is a sum of squared deviations of position, size and appearance, in standard deviations. Similarities are
    those of `Window`.
    """

    confirm_score: float = 0.85  # a detection with at least this score is reported at once, others after a second one
    tentative_time: float = 0.5  # how long a new face near a hidden one, which it may be, has no tracker id
    missed_time: float = 0.3  # how long a face that is followed counts as seen without detections
    predicted_time: float = 1.0  # how long the predicted box of a hidden face is reported
    memory_time: float = 3.0  # how long a hidden face can be re-identified
    position_error: float = 0.25  # standard deviation of a detection's position
    position_drift: float = 0.5  # how much that grows per second without measurements
    size_error: float = 0.25  # standard deviation of the logarithm of a detection's size
    appearance_error: float = 0.2  # standard deviation of 1 minus the similarity
    max_appearance_deviation: float = 2.0  # limits the deviation while a face is seen
    reidentification_threshold: float = 0.45  # minimum similarity for re-identifying a hidden face
    reidentification_threshold_after_cut: float = 0.75  # the same after a cut, when positions say little
    reidentification_cost: float = 2.0  # added for hidden faces: most detections are of faces that were seen
    duplicate_cost: float = 2.0  # maximum cost of position and size at which a second box is the same face
    max_cost: float = 12.0  # maximum cost of a match
    min_similarity: float = 0.55  # minimum similarity of a followed box to the face
    min_frame_similarity: float = 0.7  # minimum similarity of a followed box to the last frame; lower after a cut
    velocity_time: float = 0.25  # time constant of the average velocity
    coast_time: float = 1.5  # time constant with which the predicted motion of a hidden face ends


@dataclass(frozen=True)
class TrackedDetection:
    """A tracked face in one frame."""

    track: int  # the tracker id, from 1; never reused for another face
    detection: Detection  # the smoothed box; the score and landmarks of the last detection, moved with the box
    is_seen: bool  # detected or followed in this frame; otherwise the face is hidden and the box predicted


class Track:
    """One face over time. Times are those of the tracker's clock."""

    def __init__(self, detection: Detection, window: Window, settings: TrackerSettings, clock: float) -> None:
        self.tracker_id = 0  # while the track is tentative
        self.motion = Motion(detection.box, velocity_time=settings.velocity_time, coast_time=settings.coast_time)
        self._memory = deque([window], maxlen=CAPACITY)
        self.is_seen = True  # detected or followed in the current frame
        self.is_overlapped = False  # touched by another track, so that pixels may be the other's
        self.is_cut = False  # a cut since the face was seen: it may be anywhere
        self.seen_at = self.started_at = clock
        self.times_detected = 1
        self._settings = settings
        self.detection, self._window = detection, window  # the last ones
        self._missed_at: float | None = None

    @property
    def is_detected(self) -> bool:
        """Whether the detector found the face when it last ran."""
        return self._missed_at is None

    def advance(self, pixels: NDArray[np.uint8], clock: float, step: float) -> None:
        """Move to the next frame: follow a face that was seen, else coast."""
        self.motion.coast(step)
        if not self.is_seen:
            return
        is_recent = self._missed_at is None or clock - self._missed_at <= self._settings.missed_time
        if is_recent and self._follow(pixels):
            self.seen_at = clock
        else:
            self.hide()

    def match(self, detection: Detection, window: Window, clock: float) -> None:
        """Update the track with its detection."""
        self.motion.correct(detection.box, is_reliable=not self.is_overlapped)
        if not self.is_overlapped and self._similarity(window) < DISTINCT:
            self._memory.append(window)
        self.detection, self._window = detection, window
        self.is_seen, self.is_cut, self.seen_at, self._missed_at = True, False, clock, None
        self.times_detected += 1

    def miss(self, clock: float) -> None:
        """Note that the detector did not find the face."""
        self._missed_at = clock if self._missed_at is None else self._missed_at

    def hide(self) -> None:
        """Note that the face is no longer seen."""
        self.is_seen = False
        self.motion.lose()

    def cost(self, detection: Detection, window: Window) -> float:
        """Return the cost of matching a detection, infinite if it does not look like the hidden face."""
        settings = self._settings
        cost = self._displacement(detection.box)
        if cost > settings.max_cost:
            return cost
        similarity = self._similarity(window)
        deviation = (1 - similarity) / settings.appearance_error
        if self.is_seen:  # a face that turns may look like another one, but it does not jump
            return cost + min(deviation, settings.max_appearance_deviation) ** 2
        threshold = (
            settings.reidentification_threshold_after_cut if self.is_cut else settings.reidentification_threshold
        )
        return cost + deviation**2 + settings.reidentification_cost if similarity >= threshold else math.inf

    def may_reappear_at(self, box: Box) -> bool:
        """Return whether a box may be this hidden face, half covered, so that its appearance proves nothing."""
        return not self.is_cut and self._displacement(box) <= self._settings.max_cost

    def is_at(self, box: Box) -> bool:
        """Return whether a box lies where this face was detected, so that both are the same face."""
        return self.is_detected and self._displacement(box) <= self._settings.duplicate_cost

    def report(self) -> TrackedDetection:
        """Return the current box with the last detection's score and landmarks, the latter moved with the box."""
        old, new = self.detection.box, self.motion.box
        points = tuple(
            (new.x + (x - old.x) / old.width * new.width, new.y + (y - old.y) / old.height * new.height)
            for x, y in self.detection.landmarks
        )
        return TrackedDetection(self.tracker_id, Detection(new, self.detection.score, points), self.is_seen)

    def rescale(self, x: float, y: float) -> None:
        """Adapt to a frame size that has changed by these factors."""
        self.motion.rescale(np.array([x, y]))
        old = self._window
        self._window = replace(old, left=old.left * x, top=old.top * y, side=old.side * math.sqrt(x * y))

    def _similarity(self, window: Window) -> float:
        """Return the similarity to the most similar appearance remembered."""
        return max(known.similarity(window) for known in self._memory)

    def _displacement(self, box: Box) -> float:
        """Return the cost of a box's position and size."""
        settings, motion = self._settings, self.motion
        distance = math.dist(motion.centre, box.centre) / motion.size
        position = distance / (settings.position_error + settings.position_drift * motion.blind_time)
        growth = math.log(math.sqrt(box.width * box.height) / motion.size) / settings.size_error
        return position**2 + growth**2

    def _follow(self, pixels: NDArray[np.uint8]) -> bool:
        """Move the box by optical flow; False if the points are lost or show something else."""
        shift = measure_shift(self._window, cut_window(pixels, self.motion.box))
        if shift is None:
            return False
        box = self.motion.shifted(shift)
        window = cut_window(pixels, box)
        is_same = (
            self._window.similarity(window) >= self._settings.min_frame_similarity
            and is_inside(box, pixels)
            and self._similarity(window) >= self._settings.min_similarity
        )
        if is_same:
            self.motion.shift(shift, is_reliable=not self.is_overlapped)
            self._window = window
        return is_same


def is_inside(box: Box, pixels: NDArray[np.uint8]) -> bool:
    """Return whether the centre of a box lies in a frame (h, w, 3)."""
    (x, y), (height, width) = box.centre, pixels.shape[:2]
    return bool(0 <= x < width and 0 <= y < height)


def touch(a: Box, b: Box) -> bool:
    """Return whether two boxes share a point."""
    (ax, ay), (bx, by) = a.centre, b.centre
    return abs(ax - bx) <= (a.width + b.width) / 2 and abs(ay - by) <= (a.height + b.height) / 2
