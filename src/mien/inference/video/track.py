"""One followed face: its place, its looks, and how well a detection fits it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box, Detection
from mien.inference.video.appearance import AppearanceMemory, Window, cut_window
from mien.inference.video.motion import Motion, measure_shift


@dataclass(frozen=True)
class TrackerSettings:
    """What decides who is who. Lengths are parts of a face's size, times are seconds.

    Attributes:
        sure_score: A detection at least this sure is reported at once, others when they are found again.
        doubt_time: How long a new face near a hidden one has no number, for it may turn out to be that one.
        patience: How long a face counts as seen that is followed well but that the detector misses.
        guess_time: How long the supposed box of a hidden face is reported.
        memory_time: How long a hidden face can be known again.
        place_error: How far a detection may be off, as a standard deviation.
        place_drift: How much that grows a second while nothing is seen of the face.
        size_error: The same for the logarithm of the size.
        looks_error: The same for 1 minus the similarity of two looks.
        known_again: The smallest similarity at which a hidden face is known again.
        known_after_cut: The same after a cut of the film, when its place says little.
        most_turned: The most standard deviations that looks count for while a face is followed.
        return_cost: What is added for hidden faces, for most faces that are found were not hidden.
        same_place: The largest sum, of place and size alone, at which a second box is taken for the same face.
        worst_fit: The largest sum of squared standard deviations of a pairing.
        alike: The smallest similarity at which a box that is followed still shows the face.
        steady: The smallest similarity of a box that is followed to the frame before; a film's cut goes below it.
        speed_time: The time constant of a face's average velocity.
        coast_time: The time constant with which the supposed motion of a hidden face ends.
    """

    sure_score: float = 0.85
    doubt_time: float = 0.5
    patience: float = 0.3
    guess_time: float = 1.0
    memory_time: float = 3.0
    place_error: float = 0.25
    place_drift: float = 0.5
    size_error: float = 0.25
    looks_error: float = 0.2
    known_again: float = 0.45
    known_after_cut: float = 0.75
    most_turned: float = 2.0
    return_cost: float = 2.0
    same_place: float = 2.0
    worst_fit: float = 12.0
    alike: float = 0.55
    steady: float = 0.7
    speed_time: float = 0.25
    coast_time: float = 1.5


@dataclass(frozen=True)
class TrackedDetection:
    """A face of one frame.

    Attributes:
        track: The person's number, from 1; never used again for somebody else.
        detection: The box (smoothed), and the score and landmarks of the last detection, moved with the box.
        is_seen: True where the box was found in this frame, by the detector or by following it; False where the face
            is hidden and the box is a guess.
    """

    track: int
    detection: Detection
    is_seen: bool


class Track:
    """One face: where it is, what it looks like and when it was found. Times are the tracker's own clock."""

    def __init__(self, detection: Detection, window: Window, settings: TrackerSettings, clock: float) -> None:
        self.number = 0  # 0: not reported yet
        self.motion = Motion(detection.box, speed_time=settings.speed_time, coast_time=settings.coast_time)
        self.memory = AppearanceMemory()
        self.memory.add(window)
        self.is_covered = False
        self.is_cut = False  # the film has cut since the face was seen: it may be anywhere
        self._settings = settings
        self._detection, self._window = detection, window
        self.is_seen, self.seen_at, self.started_at = True, clock, clock
        self.times_found = 1
        self._missed_at: float | None = None

    @property
    def score(self) -> float:
        """The last detection's."""
        return self._detection.score

    @property
    def is_found(self) -> bool:
        """Whether the detector found it when it last ran."""
        return self._missed_at is None

    def advance(self, pixels: NDArray[np.uint8], clock: float, step: float) -> None:
        """Go on to the next frame: follow what was seen, else coast."""
        self.motion.coast(step)
        if not self.is_seen:
            return
        is_patient = self._missed_at is None or clock - self._missed_at <= self._settings.patience
        if is_patient and self._follow(pixels):
            self.seen_at = clock
        else:
            self.hide()

    def find(self, detection: Detection, window: Window, clock: float) -> None:
        """Go to a detection."""
        self.motion.correct(detection.box, is_steady=not self.is_covered)
        if not self.is_covered:
            self.memory.add(window)
        self._detection, self._window = detection, window
        self.is_seen, self.is_cut, self.seen_at, self._missed_at = True, False, clock, None
        self.times_found += 1

    def hide(self) -> None:
        """Note that the face is not seen any more."""
        self.is_seen = False
        self.motion.lose()

    def miss(self, clock: float) -> None:
        """Note that the detector did not find the face."""
        self._missed_at = clock if self._missed_at is None else self._missed_at

    def misfit(self, detection: Detection, window: Window) -> float:
        """Return how badly a detection fits: a sum of squared standard deviations."""
        displacement = self._displacement(detection.box)
        if displacement > self._settings.worst_fit:
            return displacement
        similarity = self.memory.similarity(window)
        looks = (1 - similarity) / self._settings.looks_error
        if self.is_seen:  # a face that turns may look like another one, but it does not jump
            return displacement + min(looks, self._settings.most_turned) ** 2
        least = self._settings.known_after_cut if self.is_cut else self._settings.known_again
        return displacement + looks**2 + self._settings.return_cost if similarity >= least else math.inf

    def is_near(self, box: Box) -> bool:
        """Whether a box may be this face's, half hidden, so that its looks do not tell."""
        return not self.is_cut and self._displacement(box) <= self._settings.worst_fit

    def is_at(self, box: Box) -> bool:
        """Whether a box lies where this face was found, so that it can be no other."""
        return self.is_found and self._displacement(box) <= self._settings.same_place

    def report(self) -> TrackedDetection:
        """Return the box with the last detection's score and landmarks, these moved along with the box."""
        old, new = self._detection.box, self.motion.box
        points = tuple(
            (new.x + (x - old.x) / old.width * new.width, new.y + (y - old.y) / old.height * new.height)
            for x, y in self._detection.landmarks
        )
        return TrackedDetection(self.number, Detection(new, self._detection.score, points), self.is_seen)

    def rescale(self, x: float, y: float) -> None:
        """Follow a change of the frame's size by these factors."""
        self.motion.rescale(np.array([x, y]))
        old = self._window
        self._window = replace(old, left=old.left * x, top=old.top * y, side=old.side * math.sqrt(x * y))

    def _displacement(self, box: Box) -> float:
        settings, motion = self._settings, self.motion
        distance = math.dist(motion.centre, box.centre) / motion.size
        place = distance / (settings.place_error + settings.place_drift * motion.blind)
        growth = math.log(math.sqrt(box.width * box.height) / motion.size) / settings.size_error
        return place**2 + growth**2

    def _follow(self, pixels: NDArray[np.uint8]) -> bool:
        """Move the box with the points on it; False when they are lost, or show something else than the face."""
        shift = measure_shift(self._window, cut_window(pixels, self.motion.box))
        if shift is None:
            return False
        box = self.motion.shifted(shift)
        window = cut_window(pixels, box)
        is_same = self._window.similarity(window) >= self._settings.steady
        if not (is_same and is_inside(box, pixels) and self.memory.similarity(window) >= self._settings.alike):
            return False
        self.motion.shift(shift, is_steady=not self.is_covered)
        self._window = window
        return True


def is_inside(box: Box, pixels: NDArray[np.uint8]) -> bool:
    """Whether the middle of a box lies in a frame (h, w, 3)."""
    (x, y), (height, width) = box.centre, pixels.shape[:2]
    return bool(0 <= x < width and 0 <= y < height)


def touch(a: Box, b: Box) -> bool:
    """Whether two boxes share a point."""
    is_apart_x = abs(a.centre[0] - b.centre[0]) > (a.width + b.width) / 2
    is_apart_y = abs(a.centre[1] - b.centre[1]) > (a.height + b.height) / 2
    return not (is_apart_x or is_apart_y)
