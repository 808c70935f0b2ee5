"""Calibrate probabilities: temperature, the thresholds of "not a face" and "unsure", and a logistic curve."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# The largest share of real faces that the threshold of "not a face" may reject ...
FACES_LOST = 0.002
# ... and the smallest threshold: in use, faces are less clear than in a data set.
LOWEST_THRESHOLD = 0.1
# A prediction is shown as sure if, of all predictions at least as confident, at least this share is correct.
SHARE_RIGHT = 0.85
# Of `fit_temperature`: the standard deviation of the prior of log T. Few faces, all correct, would otherwise give the
# lowest temperature and probabilities of 100 %; with thousands of faces the prior changes nothing.
LOG_TEMPERATURE_DEVIATION = 0.5
# Of `fit_logistic`: the weight of the prior, as a number of observations; bounds of a step and of the slope.
PRIOR, LARGEST_STEP, SMALLEST_SLOPE = 1.0, 1.0, 0.05


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature T in [0.05, 20] that minimizes the log loss of softmax(logits / T), near 1 for few faces.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2, with a normal prior of log T around
    0. A golden-section search on log T finds the minimum.

    `logits` are (n, k), `labels` (n,) class numbers.
    """
    scores = logits.astype(np.float64)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        fit = float(np.sum(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]))
        return fit + (log_temperature / LOG_TEMPERATURE_DEVIATION) ** 2 / 2

    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return round(float(np.exp((low + high) / 2)), 4)


def fit_logistic(
    logits: NDArray[np.float64], is_true: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Return slope and offset of the most likely sigmoid(slope * logit + offset), by Newton's method.

    Platt, "Probabilistic outputs for support vector machines", 1999. Slope and offset stay near 1 and 0 where the data
    say little, such as one class only.

    Args:
        logits: (n,).
        is_true: (n,).
        weights: (n,), at least 0; scaled to a sum of n.
    """
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    weights = weights * len(weights) / max(weights.sum(), 1e-12)
    start = fitted = np.array([1.0, 0.0])
    for _ in range(100):
        probabilities = 1 / (1 + np.exp(-np.clip(design @ fitted, -50, 50)))
        gradient = design.T @ (weights * (probabilities - is_true)) + PRIOR * (fitted - start)
        curvature = (design.T * (weights * probabilities * (1 - probabilities))) @ design + PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        fitted = fitted - step * min(1.0, LARGEST_STEP / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return round(max(float(fitted[0]), SMALLEST_SLOPE), 6), round(float(fitted[1]), 6)


def choose_reject_threshold(reject: NDArray[np.float32], is_face: NDArray[np.bool_] | None) -> float:
    """Return the probability of "not a face" above which a box is rejected.

    It is 0.1, or more if needed to lose at most 0.2 % of the faces.

    Args:
        reject: (n,) probabilities of "not a face" on a validation split.
        is_face: (n,), False where the annotators saw no face; None: all show faces.
    """
    faces = reject if is_face is None else reject[is_face]
    # not interpolated, and rounded up: in a small split even one face more would exceed the share
    threshold = float(np.quantile(faces, 1 - FACES_LOST, method="inverted_cdf"))
    return math.ceil(1e4 * max(LOWEST_THRESHOLD, threshold)) / 1e4


def choose_unsure_threshold(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], share_right: float = SHARE_RIGHT
) -> float:
    """Return the confidence below which a prediction is shown as unsure.

    It is the smallest threshold for which at least `share_right` of the predictions at or above it are correct: the
    selective classifier of Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks",
    NIPS 2017, with the largest probability as its confidence and the risk measured on the split (without their bound).

    Args:
        probabilities: (n, k) on a validation split, after temperature scaling; each row sums to 1.
        labels: (n,) class numbers.
        share_right: The share that must agree with the annotators, in [0, 1].

    Returns:
        In [0, 1], rounded to four digits, which may shift a prediction or two; 1 if no threshold reaches the share.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    correct = np.cumsum(probabilities.argmax(axis=1)[order] == labels[order]) / np.arange(1, len(labels) + 1)
    ranked = confidence[order]
    # equally confident predictions are all sure or all unsure
    is_last_of_equals = np.append(ranked[1:] < ranked[:-1], True)
    enough = np.flatnonzero(is_last_of_equals & (correct >= share_right))
    return round(float(ranked[enough[-1]]), 4) if enough.size else 1.0
