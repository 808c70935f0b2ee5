from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from noisy_labels import NoisyClip, Steadiness, measure, noisy_clip

from mien.core.errors import MienError
from mien.inference.video.smoothing import Smoother

HAPPY, SAD = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def steadiness(clips: list[NoisyClip], mode: Any) -> Steadiness:
    found = [measure(clip, clip.smoothed(Smoother(mode))) for clip in clips]
    delays = np.concatenate([one.delays for one in found])
    flicker, accuracy = (float(np.mean([getattr(one, name) for one in found])) for name in ("flicker", "accuracy"))
    return Steadiness(flicker, delays, accuracy)


def test_flicker_is_halved_and_adaptive_is_steadier_and_faster_than_a_plain_average() -> None:
    clips = [noisy_clip(seed, seconds=40) for seed in range(6)]
    raw, plain, adaptive = (steadiness(clips, mode) for mode in ("off", "on", "adaptive"))
    assert raw.flicker / 2 > plain.flicker > adaptive.flicker
    assert 0.2 >= np.median(plain.delays) > np.median(adaptive.delays)
    assert min(plain.accuracy, adaptive.accuracy) > raw.accuracy + 0.05


def test_adaptive_helps_at_low_frame_rates_too() -> None:
    slow = [noisy_clip(seed, fps=5) for seed in range(6)]
    raw, smooth = steadiness(slow, "off"), steadiness(slow, "adaptive")
    assert smooth.flicker < 0.6 * raw.flicker  # 0.4 of 1.6 changes per second are real
    assert np.median(smooth.delays) <= 0.2


def test_on_covers_63_percent_in_one_time_constant() -> None:
    smoother = Smoother("on", time_constant=0.4)
    smoother.update(HAPPY, 10.0)
    assert smoother.update(SAD, 10.4)[1] == pytest.approx(1 - math.exp(-1))


def test_on_does_not_depend_on_the_frame_rate() -> None:
    few, many = Smoother("on"), Smoother("on")
    for smoother in (few, many):
        smoother.update(HAPPY, 0.0)
    for time in (0.01, 0.07, 0.08, 0.2):
        result = many.update(SAD, time)
    assert few.update(SAD, 0.2) == pytest.approx(result)


def test_clear_evidence_comes_through_sooner_than_mixed_evidence() -> None:
    def time_to_follow(share: float) -> float:
        smoother, time = Smoother(), 0.0
        smoother.update(np.array([share, 1 - share]), time)
        while smoother.update(np.array([1 - share, share]), time := time + 1 / 30)[1] < 0.5:
            pass
        return time

    assert time_to_follow(0.98) < time_to_follow(0.6) / 2


def test_off_only_normalizes() -> None:
    smoother = Smoother("off")
    smoother.update(HAPPY, 0.0)
    assert smoother.update(np.array([1.0, 3.0]), 0.1) == pytest.approx([0.25, 0.75])


def test_no_time_passes_while_it_runs_backwards() -> None:
    smoother = Smoother("on")
    smoother.update(HAPPY, 100.0)
    assert smoother.update(SAD, 3.0).tolist() == [1.0, 0.0]
    assert smoother.update(SAD, 60.0)[1] == pytest.approx(1)


@pytest.mark.parametrize(
    "given",
    [[math.nan, 1.0], [math.inf, 0.0], [0.0, 0.0]],
    ids=["nan", "infinite", "zero"],
)
@pytest.mark.parametrize("mode", ["off", "adaptive"])
def test_invalid_probabilities_are_an_error(given: Any, mode: Any) -> None:
    with pytest.raises(MienError, match="Smoothing expects probabilities"):
        Smoother(mode).update(np.array(given), 0.0)
