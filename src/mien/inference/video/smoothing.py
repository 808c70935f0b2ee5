"""Smooth a face's probabilities over time.

The smoothing depends on the frames' times, not on their number, so frame rates may vary.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
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


@dataclass
class _Averages:
    time: float
    smooth: NDArray[np.float64]
    fast: NDArray[np.float64]


class Smoother:
    """An exponential average of each track's probabilities. Not thread-safe.

    `on`: `smooth += (1 - exp(-step / time_constant)) * (probabilities - smooth)`. One time constant after a change,
    the average has covered 63 % of it.

    `adaptive`: the time constant doubles while the evidence is mixed and shrinks up to 25-fold where it is clear. The
    step is multiplied by `(1 + 50 d^3) / 2`, where d (0 to 1) is the total variation distance between the average and
    a second, faster one. So uncertain labels stay put, and real changes come through sooner.
    """

    def __init__(self, mode: SmoothingMode = "adaptive", time_constant: float = TIME_CONSTANT) -> None:
        """Start without tracks; the time constant is in seconds, above 0. `off` returns probabilities as they are."""
        if mode not in SMOOTHING_MODES:
            hint = did_you_mean(mode, SMOOTHING_MODES)
            raise MienError(f"No smoothing mode named '{mode}'.{hint} Modes: {', '.join(SMOOTHING_MODES)}.")
        if not 0 < time_constant < math.inf:
            raise MienError(f"time_constant is {time_constant}; expected a number of seconds above 0.")
        self.mode, self.time_constant = mode, time_constant
        self._averages: dict[int, _Averages] = {}

    def update(self, track: int, probabilities: NDArray[Any], time: float) -> NDArray[np.float64]:
        """Return a track's smoothed probabilities (k,), which sum to 1; `MienError` if the input is not finite.

        Args:
            track: The tracker id of the face.
            probabilities: (k,), non-negative, of the frame at `time`; scaled to sum to 1.
            time: In seconds. If it runs backwards, no time passes.
        """
        current = np.array(probabilities, dtype=np.float64)
        total = current.sum() if current.ndim == 1 and current.size and (current >= 0).all() else math.nan
        if not (math.isfinite(total) and total > 0 and math.isfinite(time)):
            raise MienError(f"Smoothing expects a list of probabilities and a time; got {probabilities} at {time} s.")
        current /= total
        if self.mode == "off":
            return current
        averages = self._averages.setdefault(track, _Averages(time, current, current))
        step = max(time - averages.time, 0.0) / self.time_constant
        averages.time = time
        if self.mode == "adaptive":
            weight = min(1 - math.exp(-step / FAST), MAX_FRAME_WEIGHT)
            averages.fast = averages.fast + weight * (current - averages.fast)
            distance = float(np.abs(averages.fast - averages.smooth).sum()) / 2
            step *= (1 + SPEED_UP * distance**EXPONENT) / SLOW
        averages.smooth = averages.smooth + (1 - math.exp(-step)) * (current - averages.smooth)
        return averages.smooth.copy()

    def keep_only(self, tracks: Collection[int]) -> None:
        """Forget all other tracks."""
        self._averages = {track: averages for track, averages in self._averages.items() if track in tracks}
