"""Smooth a face's probabilities over time.

The smoothing depends on the frames' times, not on their number, so frame rates may vary.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError, did_you_mean

SmoothingMode = Literal["off", "on", "adaptive"]
SMOOTHING_MODES: tuple[str, ...] = get_args(SmoothingMode)
TIME_CONSTANT = 0.25  # seconds

# The adaptive mode, tuned with lab/benchmarks/smoothing.py: time constants of its two averages as multiples of the
# given one, the speed-up `1 + SPEED_UP * distance^EXPONENT`, and the largest weight of one frame in the fast average,
# so that a change takes at least two frames at low frame rates too.
SLOW, FAST = 2.0, 0.4
SPEED_UP, EXPONENT = 50.0, 3
MAX_FRAME_WEIGHT = 0.4


class Smoother:
    """An exponential average of a track's probabilities. Not thread-safe.

    `on`: `smooth += (1 - exp(-step / time_constant)) * (probabilities - smooth)`. One time constant after a change,
    the average has covered 63 % of it.

    `adaptive`: the time constant doubles while the evidence is mixed and shrinks up to 25-fold where it is clear. The
    step is multiplied by `(1 + 50 d^3) / 2`, where d (0 to 1) is the total variation distance between the average and
    a second, faster one. So uncertain labels stay put, and real changes come through sooner.
    """

    def __init__(self, mode: SmoothingMode = "adaptive", time_constant: float = TIME_CONSTANT) -> None:
        """Start without probabilities; the time constant is in seconds, above 0. `off` returns them as they are."""
        if mode not in SMOOTHING_MODES:
            hint = did_you_mean(mode, SMOOTHING_MODES)
            raise MienError(f"No smoothing mode named '{mode}'.{hint} Modes: {', '.join(SMOOTHING_MODES)}.")
        if not 0 < time_constant < math.inf:
            raise MienError(f"time_constant is {time_constant}; expected a number of seconds above 0.")
        self._mode, self._time_constant = mode, time_constant
        self._time: float | None = None
        self._smooth = self._fast = np.zeros(0)

    def update(self, probabilities: NDArray[Any], time: float) -> NDArray[np.float64]:
        """Return the smoothed probabilities (k,), which sum to 1; `MienError` if the input cannot be scaled to that.

        Args:
            probabilities: (k,), non-negative, of the frame at `time`.
            time: In seconds. If it runs backwards, no time passes.
        """
        current = np.array(probabilities, dtype=np.float64)
        total = current.sum()
        if not 0 < total < math.inf:
            raise MienError(f"Smoothing expects probabilities; got {probabilities}.")
        current /= total
        if self._mode == "off":
            return current
        if self._time is None:
            self._time, self._smooth, self._fast = time, current, current
        step = max(time - self._time, 0.0) / self._time_constant
        self._time = time
        if self._mode == "adaptive":
            weight = min(1 - math.exp(-step / FAST), MAX_FRAME_WEIGHT)
            self._fast = self._fast + weight * (current - self._fast)
            distance = float(np.abs(self._fast - self._smooth).sum()) / 2
            step *= (1 + SPEED_UP * distance**EXPONENT) / SLOW
        self._smooth = self._smooth + (1 - math.exp(-step)) * (current - self._smooth)
        return self._smooth
