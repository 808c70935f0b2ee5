"""Simulated probabilities of a face in a video, with noise, and the true expressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.inference.video.smoothing import Smoother

CLASSES = 7
# Margin of the true logit for hard and easy faces, and the share of it that a second class has.
HARD, EASY = 2.0, 4.5
RIVAL_OF_HARD, RIVAL_OF_EASY = 0.6, 0.2
# Autocorrelation of the noise over a thirtieth of a second.
KEPT = 0.6


@dataclass(frozen=True)
class NoisyClip:
    """`times` (n,) in seconds, true `labels` (n,), and `probabilities` (n, 7) of single frames."""

    times: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def smoothed(self, smoother: Smoother) -> NDArray[np.float64]:
        """Return the probabilities (n, 7) after a smoother."""
        pairs = zip(self.times, self.probabilities, strict=True)
        return np.array([smoother.update(values, float(time)) for time, values in pairs])


@dataclass(frozen=True)
class Steadiness:
    """`flicker`: label changes per second; `delays` of the label after each true change; `accuracy` of frames."""

    flicker: float
    delays: NDArray[np.float64]
    accuracy: float


def noisy_clip(seed: int, fps: float = 30.0, seconds: float = 60.0) -> NoisyClip:
    """Simulate a clip: expressions last 1 to 4 seconds, half of them hard; noise is correlated over a few frames."""
    rng = np.random.default_rng(seed)
    frames = int(seconds * fps)
    ends = np.cumsum(rng.uniform(1, 4, frames))
    stretch = np.searchsorted(ends, np.arange(frames) / fps, side="right")
    stretches = int(stretch[-1]) + 1
    labels = np.cumsum(rng.integers(1, CLASSES, stretches)) % CLASSES
    rivals = (labels + rng.integers(1, CLASSES, stretches)) % CLASSES
    is_hard = rng.random(stretches) < 0.5
    logits, share = rng.normal(0, 1, (frames, CLASSES)), KEPT ** (30 / fps)
    for i in range(1, frames):
        logits[i] = share * logits[i - 1] + np.sqrt(1 - share**2) * logits[i]
    margin = np.where(is_hard, HARD, EASY)
    logits[np.arange(frames), labels[stretch]] += margin[stretch]
    logits[np.arange(frames), rivals[stretch]] += (margin * np.where(is_hard, RIVAL_OF_HARD, RIVAL_OF_EASY))[stretch]
    odds = np.exp(logits)
    return NoisyClip(np.arange(frames) / fps, labels[stretch], odds / odds.sum(axis=1, keepdims=True))


def measure(clip: NoisyClip, probabilities: NDArray[np.float64]) -> Steadiness:
    """Measure flicker, delay and accuracy of probabilities (n, 7); a missed change counts until the next one."""
    labels = probabilities.argmax(axis=1)
    starts = np.flatnonzero(np.diff(clip.labels)) + 1
    delays = []
    for start, end in zip(starts, [*starts[1:], len(labels)], strict=True):
        right = np.flatnonzero(labels[start:end] == clip.labels[start])
        delays.append(clip.times[start + right[0] if len(right) else end - 1] - clip.times[start])
    flicker = np.count_nonzero(np.diff(labels)) / clip.times[-1]
    return Steadiness(float(flicker), np.array(delays), float((labels == clip.labels).mean()))
