"""Smooth a face's probabilities over time, and count how often its label changes.

Steps follow from the frames' times, so the result does not depend on an even frame rate.
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

# Of the adaptive mode, chosen by lab/benchmarks/smoothing.py: the two averages' time constants as multiples of the
# stated one, the speed-up `1 + SPEED_UP * distance^SHARPNESS`, and the most that one frame may count in the quick
# average, so that at low frame rates a change still needs two frames.
SLOW, QUICK = 2.0, 0.4
SPEED_UP, SHARPNESS = 50.0, 3
MOST_OF_ONE_FRAME = 0.4


@dataclass
class _Memory:
    time: float
    smooth: NDArray[np.float64]
    quick: NDArray[np.float64]


class Smoother:
    """An exponential average of each track's probabilities. Not to be shared between threads.

    `on`: `smooth += (1 - exp(-step / time_constant)) * (probabilities - smooth)`; after a change, 63 % of the way is
    done in one time constant.

    `adaptive`: the time constant is twice as long while the faces' evidence is divided, and up to 25 times as short
    where it is clear: the step is multiplied by `1 + 50 d^3`, where d (0 to 1) is the total variation distance
    between the average and a second, quick one. So uncertain labels rest, and real changes come through sooner.
    """

    def __init__(self, mode: SmoothingMode = "adaptive", time_constant: float = 0.25) -> None:
        """Start without a memory.

        Args:
            mode: `off` returns probabilities as they are.
            time_constant: In seconds, above 0.

        Raises:
            MienError: The mode is unknown, or the time constant is not above 0.
        """
        if mode not in SMOOTHING_MODES:
            hint = did_you_mean(mode, SMOOTHING_MODES)
            raise MienError(f"No smoothing mode named '{mode}'.{hint} Modes: {', '.join(SMOOTHING_MODES)}.")
        if not (math.isfinite(time_constant) and time_constant > 0):
            raise MienError(f"The smoothing time constant is a number of seconds above 0; got {time_constant}.")
        self.mode, self.time_constant = mode, time_constant
        self._memory: dict[int, _Memory] = {}

    def update(self, track: int, probabilities: NDArray[Any], time: float) -> NDArray[np.float64]:
        """Return a track's smoothed probabilities.

        Args:
            track: The face's number.
            probabilities: (k,), at or above 0, of the frame at `time`; they are scaled to sum to 1.
            time: In seconds; where it runs backwards, no time passes.

        Returns:
            (k,), sums to 1.

        Raises:
            MienError: The probabilities or the time are not finite, or another number of them than before.
        """
        given = np.array(probabilities, dtype=np.float64)
        total = given.sum() if given.ndim == 1 and given.size and (given >= 0).all() else math.nan
        if not (math.isfinite(total) and total > 0 and math.isfinite(time)):
            raise MienError(f"Smoothing takes a list of probabilities and a time; got {probabilities} at {time} s.")
        given /= total
        if self.mode == "off":
            return given
        memory = self._memory.setdefault(track, _Memory(time, given, given))
        if memory.smooth.shape != given.shape:
            expected = f"{memory.smooth.size} probabilities, as before, for track {track}"
            raise MienError(f"Smoothing expects {expected}; got {given.size}.")
        step = max(time - memory.time, 0.0) / self.time_constant
        memory.time = time
        if self.mode == "adaptive":
            share = min(1 - math.exp(-step / QUICK), MOST_OF_ONE_FRAME)
            memory.quick = memory.quick + share * (given - memory.quick)
            distance = float(np.abs(memory.quick - memory.smooth).sum()) / 2
            step *= (1 + SPEED_UP * distance**SHARPNESS) / SLOW
        memory.smooth = memory.smooth + (1 - math.exp(-step)) * (given - memory.smooth)
        return memory.smooth.copy()

    def forget(self, tracks_alive: Collection[int]) -> None:
        """Drop the memory of all tracks but these."""
        self._memory = {track: memory for track, memory in self._memory.items() if track in tracks_alive}


class FlickerMeter:
    """Counts how often labels change, of each frame alone and smoothed."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.seconds = 0.0
        self._raw_changes = self._smoothed_changes = 0
        self._last: dict[int, tuple[float, str, str]] = {}

    @property
    def raw(self) -> float:
        """Changes of the frames' own label per second of track time; 0 before any time has passed."""
        return self._raw_changes / self.seconds if self.seconds else 0.0

    @property
    def smoothed(self) -> float:
        """Changes of the smoothed label per second of track time; 0 before any time has passed."""
        return self._smoothed_changes / self.seconds if self.seconds else 0.0

    def update(self, track: int, raw: str, smoothed: str, time: float) -> None:
        """Take a face of a frame: the frame's own label, the smoothed one and the time in seconds."""
        before, raw_before, smoothed_before = self._last.get(track, (time, raw, smoothed))
        self.seconds += max(time - before, 0.0)
        self._raw_changes += raw != raw_before
        self._smoothed_changes += smoothed != smoothed_before
        self._last[track] = time, raw, smoothed

    def forget(self, tracks_alive: Collection[int]) -> None:
        """Drop the memory of all tracks but these; what was counted stays."""
        self._last = {track: last for track, last in self._last.items() if track in tracks_alive}
