"""How a face moves: measured by optical flow from frame to frame, extrapolated while it is hidden."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box
from mien.inference.video.appearance import REACH, WINDOW, Window

# A 6 x 6 grid of points over the central 80 % of the face box, in window pixels.
_AXIS = WINDOW / 2 - 0.5 + np.linspace(-0.8, 0.8, 6) * WINDOW / REACH / 2
_POINTS = np.stack(np.meshgrid(_AXIS, _AXIS, indexing="ij"), axis=-1).reshape(-1, 1, 2).astype(np.float32)
# A point counts if tracking it forward and backward returns this close to its start, in window pixels.
_MAX_ERROR = 1.0
_MIN_SHARE_OF_POINTS = 0.4
# Variances relative to the box size: of a detection, of a second of optical flow, and of a second of extrapolation.
_DETECTION = 0.04**2
_FLOW_DRIFT = 0.1**2
_BLIND_DRIFT = 0.8
# Time constants in seconds: of the average velocity, and of the end of a hidden face's predicted motion.
_VELOCITY_TIME = 0.25
_COAST_TIME = 1.5


class Shift(NamedTuple):
    """A movement (x, y) in frame pixels, and the factor by which the face has grown."""

    x: float
    y: float
    growth: float


def measure_shift(before: Window, after: Window) -> Shift | None:
    """Return how the face in the middle of `before` has moved, or None if it cannot be followed.

    Median flow (Kalal, Mikolajczyk and Matas, 2010): the median over a grid of points tracked forward and backward by
    pyramidal Lucas-Kanade. `after` is cut from the next frame at the expected position, with the same side.
    """
    found, status, _ = _flow(before.grey, after.grey, _POINTS)
    back, status_back, _ = _flow(after.grey, before.grey, found)
    error = np.linalg.norm(back - _POINTS, axis=2).ravel()
    is_good = (status.ravel() == 1) & (status_back.ravel() == 1) & (error < _MAX_ERROR)
    if is_good.mean() < _MIN_SHARE_OF_POINTS:
        return None
    first, second = _POINTS[is_good, 0], found[is_good, 0]
    x, y = np.median(second - first, axis=0) * (before.side / WINDOW)
    half = len(first) // 2
    lengths, new_lengths = (np.linalg.norm(points[:half] - points[-half:], axis=1) for points in (first, second))
    growth = np.median(new_lengths / np.maximum(lengths, 1.0))
    return Shift(
        after.left - before.left + float(x), after.top - before.top + float(y), float(np.clip(growth, 0.8, 1.25))
    )


def _flow(before: NDArray[np.uint8], after: NDArray[np.uint8], points: NDArray[np.float32]) -> tuple[Any, Any, Any]:
    no_guess: Any = None  # OpenCV's stubs do not allow None
    return cv2.calcOpticalFlowPyrLK(before, after, points, no_guess, winSize=(13, 13), maxLevel=2)


class Motion:
    """Position and velocity of a face. Positions are in pixels, times in seconds."""

    def __init__(self, box: Box) -> None:
        """Start at a detection, at rest."""
        self.centre = np.array(box.centre)  # (2,)
        self.sides = np.array([box.width, box.height])
        self.velocity = np.zeros(2)
        self.blind_time = 0.0  # since the last measurement
        self._age = 0.0
        self._variance = _DETECTION  # of the centre and of the log sides, relative to `size`
        self._measured = self.centre.copy()
        self._since_detection = 0.0
        self._detected = (self.centre, self.sides, self.velocity)

    @property
    def size(self) -> float:
        """The side of a square with the area of the box, in pixels."""
        return math.sqrt(float(self.sides.prod()))

    @property
    def box(self) -> Box:
        """The box at the current position."""
        return _make_box(self.centre, self.sides)

    def coast(self, step: float) -> None:
        """Extrapolate by `step` seconds, slowing down."""
        self.centre = self.centre + self.velocity * self._coasted(self.blind_time, self.blind_time + step)
        self.blind_time += step
        self._age += step
        self._since_detection += step

    def lose(self) -> None:
        """Go back to the last detection and extrapolate from there.

        An object that covers the face drags the tracked points along before this is noticed.
        """
        self.centre, self.sides, self.velocity = self._detected
        self.blind_time = self._since_detection
        self.centre = self.centre + self.velocity * self._coasted(0.0, self.blind_time)

    def shifted(self, shift: Shift) -> Box:
        """Return the last measured box after a movement."""
        return _make_box(self._measured + shift[:2], self.sides * shift.growth)

    def shift(self, shift: Shift, *, is_reliable: bool) -> None:
        """Replace the extrapolation by a movement since the last measurement; update the velocity if reliable."""
        self.centre = self._measured + shift[:2]
        self.sides = self.sides * shift.growth
        self._variance += _FLOW_DRIFT * self.blind_time
        self._finish_measurement(is_reliable)

    def correct(self, box: Box, *, is_reliable: bool) -> None:
        """Update with a detection (a Kalman filter); its weight grows with the time since the last one."""
        error = np.array(box.centre) - self.centre
        self._variance += (_BLIND_DRIFT * self.blind_time) ** 2
        gain = self._variance / (self._variance + _DETECTION)
        if float(np.abs(error).max()) / self.size > 3 * math.sqrt(self._variance + _DETECTION):
            gain = 1.0
        self.centre = self.centre + gain * error
        self.sides = self.sides ** (1 - gain) * np.array([box.width, box.height]) ** gain
        self._variance = _DETECTION if gain == 1 else self._variance * (1 - gain)
        self._finish_measurement(is_reliable)
        self._since_detection = 0.0
        self._detected = (self.centre, self.sides, self.velocity)

    def rescale(self, factors: NDArray[np.float64]) -> None:
        """Adapt to a frame size that has changed by these factors (x, y)."""
        self.centre, self.sides = self.centre * factors, self.sides * factors
        self.velocity, self._measured = self.velocity * factors, self._measured * factors
        centre, sides, velocity = self._detected
        self._detected = (centre * factors, sides * factors, velocity * factors)

    def _coasted(self, start: float, end: float) -> float:
        """Return the time at full speed that equals coasting from `start` to `end` seconds after the last sight."""
        return _COAST_TIME * (math.exp(-start / _COAST_TIME) - math.exp(-end / _COAST_TIME))

    def _finish_measurement(self, is_reliable: bool) -> None:
        """Average the velocity, over the whole time of a young track and over `_VELOCITY_TIME` later."""
        if self.blind_time > 0 and is_reliable:
            velocity = (self.centre - self._measured) / self.blind_time
            gain = max(1 - math.exp(-self.blind_time / _VELOCITY_TIME), min(self.blind_time / self._age, 1.0))
            self.velocity = self.velocity + gain * (velocity - self.velocity)
        self._measured = self.centre.copy()
        self.blind_time = 0.0


def _make_box(centre: NDArray[np.float64], sides: NDArray[np.float64]) -> Box:
    return Box(*(centre - sides / 2).tolist(), *sides.tolist())
