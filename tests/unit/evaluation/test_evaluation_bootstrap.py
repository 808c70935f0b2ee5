"""Bootstrap intervals: those of resampled images, of the right width, repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from mien.evaluation import metrics
from mien.evaluation.bootstrap import bootstrap_intervals

NAMES = ["accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece"]


def draw(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 7, n)
    scores = generator.dirichlet(np.ones(7), n)
    scores[np.arange(n), labels] += 0.3
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_intervals_are_those_of_resampled_images() -> None:
    """The same scores computed the slow way, image by image, with the metrics' own functions."""
    probabilities, labels = draw(120)
    # in the order that the fast way sorts them into, so that both draw the same images
    bins, _ = metrics.confidence_gaps(probabilities, labels)
    order = np.lexsort((bins, metrics.predicted(probabilities), labels))
    probabilities, labels = probabilities[order], labels[order]
    generator = np.random.default_rng(0)
    slow: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(50):
        rows = generator.integers(0, 120, 120)
        p, y = probabilities[rows], labels[rows]
        counts = metrics.confusion(y, metrics.predicted(p), 7)
        slow["accuracy"].append(float(metrics.accuracy(counts)))
        slow["mean_class_accuracy"].append(float(metrics.mean_class_accuracy(counts)))
        slow["macro_f1"].append(float(metrics.macro_f1(counts)))
        slow["nll"].append(metrics.nll(p, y))
        slow["ece"].append(metrics.ece(p, y))
    given = bootstrap_intervals(probabilities, labels, rounds=50)
    assert list(given) == NAMES
    for name, bounds in given.items():
        assert bounds == pytest.approx(tuple(np.quantile(slow[name], (0.025, 0.975)))), name


def test_accuracy_interval_has_the_binomial_width() -> None:
    n = 4000
    probabilities, labels = draw(n)
    share = float(np.mean(metrics.predicted(probabilities) == labels))
    low, high = bootstrap_intervals(probabilities, labels)["accuracy"]
    half = 1.96 * np.sqrt(share * (1 - share) / n)
    assert low == pytest.approx(share - half, abs=0.15 * half)
    assert high == pytest.approx(share + half, abs=0.15 * half)
