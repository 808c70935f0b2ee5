"""Temperature and reject threshold against what made the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from mien.evaluation.calibration import choose_reject_threshold, fit_temperature


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
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(200), labels]))

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=1e-3)


def test_the_threshold_is_low_for_a_sure_network() -> None:
    assert choose_reject_threshold(np.full(100, 0.01, np.float32), None) == 0.1


def test_the_threshold_rises_until_few_faces_are_lost() -> None:
    reject = np.linspace(0, 1, 2001, dtype=np.float32)
    threshold = choose_reject_threshold(reject, None)
    assert np.mean(reject > threshold) <= 0.0021
    assert threshold == pytest.approx(0.998, abs=1e-3)


def test_only_faces_count() -> None:
    reject = np.array([0.05] * 50 + [0.99] * 50, dtype=np.float32)
    assert choose_reject_threshold(reject, reject < 0.5) == 0.1
