"""How a face moves: measured by optical flow from frame to frame, extrapolated while it is hidden."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box
from mien.inference.video.appearance import REACH, WINDOW, Window

# Points on a face: a grid over this part of its box, in window pixels.
_AXIS = WINDOW / 2 - 0.5 + np.linspace(-0.8, 0.8, 6) * WINDOW / REACH / 2
_POINTS = np.array(list(itertools.product(_AXIS, _AXIS)), dtype=np.float32)[:, None]
# A point counts when following it there and back ends at most this far off, in window pixels.
_THERE_AND_BACK = 1.0
_SHARE_FOLLOWED = 0.4
# Variances as parts of the box's size: of a detection, of following points for a second, of extrapolating for one.
_DETECTION = 0.04**2
_FLOW_DRIFT = 0.1**2
_BLIND_DRIFT = 0.8


class Shift(NamedTuple):
    """A movement in frame pixels, and how much larger the face has become (1: not at all)."""

    x: float
    y: float
    growth: float


def measure_shift(before: Window, after: Window) -> Shift | None:
    """Return how the face in the middle of `before` has moved, or None when it cannot be followed.

    The median over a grid of points that pyramidal Lucas-Kanade follows there and back (the median flow of Kalal,
    Mikolajczyk and Matas, 2010). `after` is cut from the next frame where the face is expected, with the same side.
    """
    found, status, _ = _flow(before.grey, after.grey, _POINTS)
    back, status_back, _ = _flow(after.grey, before.grey, found)
    error = np.linalg.norm(back - _POINTS, axis=2).ravel()
    is_good = (status.ravel() == 1) & (status_back.ravel() == 1) & (error < _THERE_AND_BACK)
    if is_good.mean() < _SHARE_FOLLOWED:
        return None
    first, second = _POINTS[is_good, 0], found[is_good, 0]
    scale = before.side / WINDOW
    x, y = np.median(second - first, axis=0) * scale
    half = len(first) // 2
    lengths = np.linalg.norm(first[:half] - first[-half:], axis=1)
    growth = np.median(np.linalg.norm(second[:half] - second[-half:], axis=1) / np.maximum(lengths, 1.0))
    return Shift(
        after.left - before.left + float(x), after.top - before.top + float(y), float(np.clip(growth, 0.8, 1.25))
    )


def _flow(before: NDArray[np.uint8], after: NDArray[np.uint8], points: NDArray[np.float32]) -> tuple[Any, Any, Any]:
    start: Any = None  # points to start at; OpenCV's stubs do not allow for none
    return cv2.calcOpticalFlowPyrLK(before, after, points, start, winSize=(13, 13), maxLevel=2)


class Motion:
    """Where one face is and how fast it moves. Positions are pixels, times seconds.

    Attributes:
        centre: (2,) the middle of the box.
        sides: (2,) its width and height.
        velocity: (2,) in pixels a second.
        blind: For how long nothing has been measured.
    """

    def __init__(self, box: Box, *, speed_time: float, coast_time: float) -> None:
        """Start at a detection, at rest.

        Args:
            box: The first box.
            speed_time: The time constant of the velocity's average.
            coast_time: The time constant with which a face slows down that nothing is seen of.
        """
        self.centre = np.array(box.centre)
        self.sides = np.array([box.width, box.height])
        self.velocity = np.zeros(2)
        self.blind = 0.0
        self._speed_time, self._coast_time = speed_time, coast_time
        self._since_start = 0.0
        self._variance = _DETECTION  # of the centre and of the log sides, as parts of `size`
        self._measured = self.centre.copy()
        self._since_detection = 0.0
        self._detected = (self.centre, self.sides, self.velocity)

    @property
    def size(self) -> float:
        """The side of a square as large as the box, in pixels."""
        return math.sqrt(float(self.sides.prod()))

    @property
    def box(self) -> Box:
        """The box."""
        return Box(*(self.centre - self.sides / 2).tolist(), *self.sides.tolist())

    def coast(self, step: float) -> None:
        """Move on for `step` seconds without a measurement, ever slower."""
        self.centre = self.centre + self.velocity * self._way(self.blind, self.blind + step)
        self.blind += step
        self._since_start += step
        self._since_detection += step

    def lose(self) -> None:
        """Go back to the last detection and coast from there.

        What covers a face drags the points on it along, before it is noticed.
        """
        self.centre, self.sides, self.velocity = self._detected
        self.blind = self._since_detection
        self.centre = self.centre + self.velocity * self._way(0.0, self.blind)

    def shifted(self, shift: Shift) -> Box:
        """Return the box that the last one measured becomes by a movement."""
        centre, sides = self._measured + np.array([shift.x, shift.y]), self.sides * shift.growth
        return Box(*(centre - sides / 2).tolist(), *sides.tolist())

    def shift(self, shift: Shift, *, is_steady: bool) -> None:
        """Take a measured movement since the last measurement, instead of what `coast` supposed.

        Args:
            shift: The movement.
            is_steady: Whether to learn the velocity from it.
        """
        self.centre = self._measured + np.array([shift.x, shift.y])
        self.sides = self.sides * shift.growth
        self._variance += _FLOW_DRIFT * self.blind
        self._learn(is_steady)

    def correct(self, box: Box, *, is_steady: bool) -> None:
        """Take a detection; it counts the more, the longer nothing was detected."""
        wrong = np.array(box.centre) - self.centre
        self._variance += (_BLIND_DRIFT * self.blind) ** 2
        deviation = float(np.abs(wrong).max()) / self.size
        gain = self._variance / (self._variance + _DETECTION)
        if deviation > 3 * math.sqrt(self._variance + _DETECTION):
            gain = 1.0
        self.centre = self.centre + gain * wrong
        self.sides = self.sides ** (1 - gain) * np.array([box.width, box.height]) ** gain
        self._variance = _DETECTION if gain == 1 else self._variance * (1 - gain)
        self._learn(is_steady)
        self._since_detection = 0.0
        self._detected = (self.centre, self.sides, self.velocity)

    def rescale(self, factors: NDArray[np.float64]) -> None:
        """Follow a change of the frame's size: multiply all by (x, y)."""
        self.centre, self.sides = self.centre * factors, self.sides * factors
        self.velocity, self._measured = self.velocity * factors, self._measured * factors
        centre, sides, velocity = self._detected
        self._detected = (centre * factors, sides * factors, velocity * factors)

    def _way(self, start: float, end: float) -> float:
        """Return for how many seconds the face would move at full speed, of this time after it was seen."""
        return self._coast_time * (math.exp(-start / self._coast_time) - math.exp(-end / self._coast_time))

    def _learn(self, is_steady: bool) -> None:
        """Average the velocity over all time since the start, and later over `speed_time`."""
        if self.blind > 0 and is_steady:
            speed = (self.centre - self._measured) / self.blind
            gain = max(1 - math.exp(-self.blind / self._speed_time), min(self.blind / self._since_start, 1.0))
            self.velocity = self.velocity + gain * (speed - self.velocity)
        self._measured = self.centre.copy()
        self.blind = 0.0
