"""Metrics against scikit-learn, plain loops and examples worked by hand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from sklearn import metrics as sk

from mien.core.errors import DataError
from mien.evaluation import metrics

CLASSES = 7


def draw(n: int, classes: int = CLASSES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    scores = generator.dirichlet(np.full(classes, 0.5), n)
    scores[np.arange(n), labels] += generator.uniform(0, 1, n)
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), labels


def one_hot(predicted: list[int], classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


CASES = {
    "random": draw(500),
    "few": draw(5, seed=1),
    "two classes": draw(50, classes=2),
    "a class never annotated": (draw(200)[0], np.where(draw(200)[1] == 3, 0, draw(200)[1])),
    "a class neither annotated nor predicted": (one_hot([0, 1, 1, 0], 3), np.array([0, 1, 0, 0])),
    "one class annotated": (draw(60)[0], np.full(60, 2)),
    "all wrong": (one_hot([1, 2, 0], 3), np.array([0, 1, 2])),
    "one image": (one_hot([4], CLASSES), np.array([4])),
}


@pytest.mark.parametrize("case", CASES)
def test_count_metrics_agree_with_scikit_learn(case: str) -> None:
    probabilities, labels = CASES[case]
    classes = probabilities.shape[1]
    predicted = metrics.predicted(probabilities)
    counts = metrics.confusion(labels, predicted, classes)
    with warnings.catch_warnings():  # scikit-learn warns about classes without images
        warnings.simplefilter("ignore")
        precision, recall, f1, n = sk.precision_recall_fscore_support(
            labels, predicted, labels=range(classes), zero_division=np.nan
        )
        np.testing.assert_array_equal(counts, sk.confusion_matrix(labels, predicted, labels=range(classes)))
        assert metrics.accuracy(counts) == pytest.approx(sk.accuracy_score(labels, predicted))
        assert metrics.mean_class_accuracy(counts) == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
        assert metrics.macro_f1(counts) == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
        assert metrics.weighted_f1(counts) == pytest.approx(sk.f1_score(labels, predicted, average="weighted"))
    given = metrics.per_class(counts)
    np.testing.assert_allclose(given.precision, precision)
    np.testing.assert_allclose(given.recall, recall)
    np.testing.assert_allclose(given.f1, f1)
    np.testing.assert_array_equal(given.n, n)


def test_probability_metrics_agree_with_scikit_learn() -> None:
    probabilities, labels = draw(300)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    assert metrics.nll(exact, labels) == pytest.approx(sk.log_loss(labels, exact, labels=range(CLASSES)))
    for k in (2, 5):
        expected = sk.top_k_accuracy_score(labels, probabilities, k=k, labels=range(CLASSES))
        assert metrics.top(k, probabilities, labels) == pytest.approx(expected)
    probabilities, labels = draw(100, classes=2)
    # scikit-learn's binary score counts one of the two classes
    brier = 2 * sk.brier_score_loss(labels, probabilities[:, 1].astype(np.float64))
    assert metrics.brier(probabilities, labels) == pytest.approx(brier, rel=1e-6)


def test_the_worst_values_are_finite_and_the_input_is_kept() -> None:
    assert metrics.nll(one_hot([1], 2), np.array([0])) == pytest.approx(-math.log(1e-12))
    probabilities = one_hot([0, 1], 3).astype(np.float64)
    assert metrics.brier(probabilities, np.array([0, 1])) == 0
    assert metrics.brier(probabilities, np.array([1, 0])) == 2
    np.testing.assert_array_equal(probabilities, one_hot([0, 1], 3))


def test_ties_go_to_the_lowest_class() -> None:
    even = np.full((2, 4), 0.25)
    np.testing.assert_array_equal(metrics.predicted(even), [0, 0])
    assert metrics.top(2, even, np.array([1, 2])) == 0.5


def plain_ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    total = 0.0
    for b in range(bins):
        members = []
        for row, label in zip(probabilities.astype(np.float64), labels, strict=True):
            confidence = max(row)
            if b / bins < confidence <= (b + 1) / bins:
                members.append((confidence, float(list(row).index(confidence) == label)))
        if members:
            confidences, hits = zip(*members, strict=True)
            gap = abs(sum(hits) / len(hits) - sum(confidences) / len(confidences))
            total += len(members) / len(labels) * gap
    return total


def test_ece_agrees_with_a_plain_loop() -> None:
    probabilities, labels = draw(400)
    assert metrics.ece(probabilities, labels) == pytest.approx(plain_ece(probabilities, labels))


@pytest.mark.parametrize("metric", [metrics.nll, metrics.ece, metrics.brier, partial(metrics.top, 2)])
def test_no_images_and_nan_are_refused(metric: Callable[..., float]) -> None:
    empty = np.zeros(0, dtype=np.int64)
    with pytest.raises(DataError, match="no images"):
        metric(np.zeros((0, 3)), empty)
    with pytest.raises(DataError, match="no images"):
        metrics.confusion(empty, empty, 3)
    probabilities, labels = draw(50)
    probabilities[7, 3] = np.nan
    with pytest.raises(DataError, match=r"Row 7 .*NaN"):
        metric(probabilities, labels)
