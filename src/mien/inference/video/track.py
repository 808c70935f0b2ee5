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

# Lengths are relative to a face's size, times are in seconds. A cost is a sum of squared deviations of position, size
# and appearance, in standard deviations.
CAPACITY = 6  # number of appearances remembered per face
DISTINCT = 0.95  # a new appearance is remembered if its similarity to the others is below this
MISSED_TIME = 0.3  # how long a face that the detector misses counts as seen while it can be followed
POSITION_ERROR = 0.25  # standard deviation of a detection's position
POSITION_DRIFT = 0.5  # how much that grows per second without measurements
SIZE_ERROR = 0.25  # standard deviation of the logarithm of a detection's size
APPEARANCE_ERROR = 0.2  # standard deviation of 1 minus the similarity
MAX_APPEARANCE_DEVIATION = 2.0  # limit of the appearance's deviation while a face is seen
REIDENTIFICATION_THRESHOLD = 0.45  # minimum similarity for re-identifying a hidden face
REIDENTIFICATION_THRESHOLD_AFTER_CUT = 0.75  # the same after a cut, when positions say little
REIDENTIFICATION_COST = 2.0  # added for hidden faces, because most detections are of faces seen before
DUPLICATE_COST = 2.0  # maximum cost of position and size at which a second box is the same face
MAX_COST = 12.0  # maximum cost of a match
MIN_SIMILARITY = 0.55  # minimum similarity of a followed box to the face
MIN_FRAME_SIMILARITY = 0.7  # minimum similarity of a followed box to the last frame; lower after a cut


@dataclass(frozen=True)
class TrackedDetection:
    """A tracked face in one frame."""

    track: int  # the tracker id, from 1; never reused for another face
    box: Box  # smoothed
    score: float  # of the last detection
    is_seen: bool  # detected or followed in this frame; otherwise the face is hidden and the box predicted
    roll: float = 0.0  # of the last detection, in degrees


class Track:
    """One face over time. Times are those of the tracker's clock."""

    def __init__(self, detection: Detection, window: Window, clock: float) -> None:
        self.tracker_id = 0  # until the track is confirmed
        self.motion = Motion(detection.box)
        self._memory = deque([window], maxlen=CAPACITY)
        self.is_seen = True  # detected or followed in the current frame
        self.is_overlapped = False  # touches another track, so its pixels may show the other face
        self.is_cut = False  # there was a cut since the face was seen, so it may be anywhere
        self.seen_at = self.started_at = clock
        self.times_detected = 1
        self.score, self.roll = detection.score, detection.roll
        self._window = window  # of the last frame in which the face was seen
        self._missed_at: float | None = None

    @property
    def is_detected(self) -> bool:
        """Whether the detector found the face when it last ran."""
        return self._missed_at is None

    def advance(self, pixels: NDArray[np.uint8], clock: float, step: float) -> None:
        """Move to the next frame: follow a face that was seen, else only predict its motion."""
        self.motion.coast(step)
        if not self.is_seen:
            return
        is_recent = self._missed_at is None or clock - self._missed_at <= MISSED_TIME
        if is_recent and self._follow(pixels):
            self.seen_at = clock
        else:
            self.hide()

    def match(self, detection: Detection, window: Window, clock: float) -> None:
        """Update the track with the detection matched to it."""
        self.motion.correct(detection.box, is_reliable=not self.is_overlapped)
        if not self.is_overlapped and self._similarity(window) < DISTINCT:
            self._memory.append(window)
        self.score, self.roll, self._window = detection.score, detection.roll, window
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
        """Return the cost of matching a detection; infinite for a hidden face that the detection does not look like."""
        cost = self._displacement(detection.box)
        if cost > MAX_COST:
            return cost
        similarity = self._similarity(window)
        deviation = (1 - similarity) / APPEARANCE_ERROR
        if self.is_seen:  # a face that turns may look like another one, but it does not jump
            return cost + min(deviation, MAX_APPEARANCE_DEVIATION) ** 2
        threshold = REIDENTIFICATION_THRESHOLD_AFTER_CUT if self.is_cut else REIDENTIFICATION_THRESHOLD
        return cost + deviation**2 + REIDENTIFICATION_COST if similarity >= threshold else math.inf

    def may_reappear_at(self, box: Box) -> bool:
        """Return whether a box is where this hidden face may be; half covered, the face need not look like itself."""
        return not self.is_cut and self._displacement(box) <= MAX_COST

    def is_at(self, box: Box) -> bool:
        """Return whether a box is at this detected face, so that it is a second box of the same face."""
        return self.is_detected and self._displacement(box) <= DUPLICATE_COST

    def rescale(self, x: float, y: float) -> None:
        """Adapt to a frame size that has changed by these factors."""
        self.motion.rescale(np.array([x, y]))
        old = self._window
        self._window = replace(old, left=old.left * x, top=old.top * y, side=old.side * math.sqrt(x * y))

    def _similarity(self, window: Window) -> float:
        """Return the similarity to the most similar appearance remembered."""
        return max(known.similarity(window) for known in self._memory)

    def _displacement(self, box: Box) -> float:
        """Return the part of the cost that is due to a box's position and size."""
        motion = self.motion
        distance = math.dist(motion.centre, box.centre) / motion.size
        position = distance / (POSITION_ERROR + POSITION_DRIFT * motion.blind_time)
        growth = math.log(math.sqrt(box.width * box.height) / motion.size) / SIZE_ERROR
        return position**2 + growth**2

    def _follow(self, pixels: NDArray[np.uint8]) -> bool:
        """Move the box by optical flow; return False if the flow is lost or the new box shows something else."""
        shift = measure_shift(self._window, cut_window(pixels, self.motion.box))
        if shift is None:
            return False
        box = self.motion.shifted(shift)
        window = cut_window(pixels, box)
        is_same = (
            self._window.similarity(window) >= MIN_FRAME_SIMILARITY
            and is_inside(box, pixels)
            and self._similarity(window) >= MIN_SIMILARITY
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
