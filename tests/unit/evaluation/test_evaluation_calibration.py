"""Temperature and thresholds on data made with known ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from mien.evaluation.calibration import choose_reject_threshold, choose_unsure_threshold, fit_temperature


def draw(temperature: float, n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times those that the labels were drawn from."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (n, 7))
    labels = np.argmax(logits + generator.gumbel(size=logits.shape), axis=1)
    return (logits * temperature).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    assert fit_temperature(*draw(temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_is_the_minimum() -> None:
    logits, labels = draw(2.0, n=200)

    def loss(temperature: float) -> float:
        scaled = logits.astype(np.float64) / temperature
        fit = float(np.sum(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(200), labels]))
        return fit + 2 * np.log(temperature) ** 2

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("n", [2, 14, 40])
def test_few_faces_that_are_all_correct_do_not_make_probabilities_extreme(n: int) -> None:
    logits = np.tile(np.array([2.0, 0, -1], np.float32), (n, 1))
    temperature = fit_temperature(logits, np.zeros(n, np.int64))
    assert 0.4 < temperature < 1
    assert fit_temperature(logits[:0], np.zeros(0, np.int64)) == 1


def test_the_reject_threshold_loses_few_faces() -> None:
    assert choose_reject_threshold(np.full(100, 0.01, np.float32), None) == 0.1
    for n in (1, 20, 499, 2001):
        reject = np.linspace(0, 0.9, n, dtype=np.float32)
        threshold = choose_reject_threshold(reject, None)
        assert np.mean(reject > threshold) <= 0.002, f"{n} faces"
    assert threshold == pytest.approx(0.9 * 0.998, abs=1e-3)
    reject = np.array([0.05] * 50 + [0.99] * 50, dtype=np.float32)
    assert choose_reject_threshold(reject, reject < 0.5) == 0.1, "only faces count"


def make_two_classes(confidence: list[float], is_right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities whose largest is that of class 0, and labels that make them correct or wrong."""
    top = np.array(confidence, dtype=np.float32)
    return np.stack([top, 1 - top], axis=1), np.where(is_right, 0, 1).astype(np.int64)


def test_the_unsure_threshold_is_the_smallest_that_meets_the_share() -> None:
    # shares correct from the top: 1, 1, 2/3, 3/4, 3/5
    given = make_two_classes([0.95, 0.9, 0.8, 0.7, 0.6], [True, True, False, True, False])
    assert choose_unsure_threshold(*given, share_right=0.75) == pytest.approx(0.7, abs=1e-4)
    assert choose_unsure_threshold(*given, share_right=0.85) == pytest.approx(0.9, abs=1e-4)
    assert choose_unsure_threshold(*given, share_right=0.5) == pytest.approx(0.6, abs=1e-4)


def test_equally_confident_predictions_are_all_sure_or_all_unsure() -> None:
    given = make_two_classes([0.9, 0.8, 0.8, 0.8], [True, True, False, False])
    assert choose_unsure_threshold(*given, share_right=0.85) == pytest.approx(0.9, abs=1e-4)


def test_a_network_that_is_never_correct_is_never_sure() -> None:
    assert choose_unsure_threshold(*make_two_classes([0.9, 0.8], [False, False])) == 1.0
