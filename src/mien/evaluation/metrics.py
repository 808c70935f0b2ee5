"""Scores of a classifier: from counts (a confusion matrix) or from probabilities.

A confusion matrix has one row per true class and one column per predicted class. The functions of counts take matrices
of shape (..., k, k) and keep the leading axes: a thousand resampled matrices are scored in one call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

# Keeps one confident mistake from making the mean infinite: a probability of 0 costs 27.6 nats.
SMALLEST_PROBABILITY = 1e-12
ECE_BINS = 15
NO_IMAGES = "There are no images to score; choose a split or a subset that has some."


def predicted(probabilities: Probabilities) -> NDArray[np.intp]:
    """Return the most probable class of each row of (n, k); in a tie, the lowest class number."""
    _check(probabilities)
    classes: NDArray[np.intp] = np.argmax(probabilities, axis=1)
    return classes


def confusion(labels: Labels, predictions: Labels, classes: int) -> Counts:
    """Count the pairs of true and predicted class: (classes, classes) int64, rows are the truth.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]

    `labels` and `predictions` are the true and the predicted class of each image, (n,), in 0..classes-1.

    Raises:
        DataError: There are no images.
    """
    if len(labels) == 0:
        raise DataError(NO_IMAGES)
    cells = labels.astype(np.intp) * classes + predictions
    counts: Counts = np.bincount(cells, minlength=classes * classes).astype(np.int64)
    return counts.reshape(classes, classes)


def accuracy(counts: Counts) -> Floats:
    """Return the share of images on the diagonal: counts (..., k, k) to (...)."""
    return np.asarray(_hits(counts).sum(axis=-1) / counts.sum(axis=(-2, -1)), dtype=np.float64)


def mean_class_accuracy(counts: Counts) -> Floats:
    """Return the mean recall over the classes that occur in the truth: counts (..., k, k) to (...)."""
    recall = _ratio(_hits(counts), counts.sum(axis=-1))
    return np.asarray(np.nanmean(recall, axis=-1), dtype=np.float64)


def macro_f1(counts: Counts) -> Floats:
    """Return the mean F1 over the classes that occur or were predicted: counts (..., k, k) to (...)."""
    return np.asarray(np.nanmean(_f1(counts), axis=-1), dtype=np.float64)


def weighted_f1(counts: Counts) -> Floats:
    """Return the mean F1 weighted by the number of images of each class: counts (..., k, k) to (...)."""
    n = counts.sum(axis=-1)
    return np.asarray(np.nansum(_f1(counts) * n, axis=-1) / n.sum(axis=-1), dtype=np.float64)


def main_scores(counts: Counts) -> dict[str, Floats]:
    """Return accuracy, mean_class_accuracy and macro_f1 by these names: counts (..., k, k) to (...) each."""
    return {
        "accuracy": accuracy(counts),
        "mean_class_accuracy": mean_class_accuracy(counts),
        "macro_f1": macro_f1(counts),
    }


def defined(value: float) -> float | None:
    """Return a score for JSON: None if it is undefined (NaN)."""
    return None if math.isnan(value) else float(value)


class ClassScores(NamedTuple):
    """Scores per class, (k,): NaN where undefined. Precision needs a prediction, recall an image, F1 either."""

    precision: Floats
    recall: Floats
    f1: Floats
    n: Counts


def per_class(counts: Counts) -> ClassScores:
    """Return precision, recall, F1 and number of images of each class: counts (k, k) to four arrays (k,)."""
    hits, n = _hits(counts), counts.sum(axis=1)
    return ClassScores(_ratio(hits, counts.sum(axis=0)), _ratio(hits, n), _f1(counts), n)


def compare_recalls(names: Sequence[str], **counts: Counts) -> dict[str, dict[str, float | int | None]]:
    """Return the recall of each class under several confusion matrices of the same images, by their keywords, and n."""
    scores = {key: per_class(matrix) for key, matrix in counts.items()}
    n = next(iter(scores.values())).n
    return {
        name: {key: defined(found.recall[i]) for key, found in scores.items()} | {"n": int(n[i])}
        for i, name in enumerate(names)
    }


def log_losses(probabilities: Probabilities, labels: Labels) -> Floats:
    """Return the negative natural logarithm of the true class's probability, per image: (n,), in nats.

    Probabilities below 1e-12 count as 1e-12, so no image costs more than 27.6 nats.
    """
    _check(probabilities)
    true = np.take_along_axis(probabilities, labels[:, None].astype(np.intp), axis=1)[:, 0]
    return -np.log(np.maximum(true.astype(np.float64), SMALLEST_PROBABILITY))


def nll(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean negative log likelihood in nats; see `log_losses` for the clamp."""
    return float(log_losses(probabilities, labels).mean())


def confidence_gaps(probabilities: Probabilities, labels: Labels) -> tuple[NDArray[np.intp], Floats]:
    """Return each image's confidence bin and its gap, `1[correct] - confidence`: two arrays (n,).

    The confidence is the largest probability. Bin b of 15 covers b/15 < confidence <= (b+1)/15; the first bin also
    contains a confidence of 0.
    """
    classes = predicted(probabilities)
    confidence = probabilities.max(axis=1).astype(np.float64)
    index = np.clip(np.ceil(confidence * ECE_BINS).astype(np.intp) - 1, 0, ECE_BINS - 1)
    return index, (classes == labels) - confidence


def ece(probabilities: Probabilities, labels: Labels) -> float:
    r"""Return the expected calibration error of the largest probability over 15 equal-width bins, in [0, 1].

    .. math:: \mathrm{ECE} = \sum_b \frac{|B_b|}{n} \, |\mathrm{acc}(B_b) - \mathrm{conf}(B_b)|

    where acc and conf are the means of correctness and confidence of the images in bin b. Computed as
    `sum_b |sum_i in b gap_i| / n`, which is the same number. Source: Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017, Eq. (3).
    """
    index, gaps = confidence_gaps(probabilities, labels)
    return float(np.abs(np.bincount(index, gaps)).sum() / len(gaps))


def brier(probabilities: Probabilities, labels: Labels) -> float:
    r"""Return the multi-class Brier score, the mean of :math:`\sum_c (p_c - y_c)^2`: from 0 (best) to 2."""
    _check(probabilities)
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(labels)), labels] -= 1
    return float(np.square(errors).sum(axis=1).mean())


def top(count: int, probabilities: Probabilities, labels: Labels) -> float:
    """Return the share of images whose true class is among the `count` most probable; in ties, the lowest numbers."""
    _check(probabilities)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((order == labels[:, None]).any(axis=1).mean())


def _check(probabilities: Probabilities) -> None:
    """Raise if there are no images, or for NaN, whose class would count as the most probable one."""
    if len(probabilities) == 0:
        raise DataError(NO_IMAGES)
    broken = np.isnan(probabilities).any(axis=-1)
    if broken.any():
        raise DataError(f"Row {int(np.argmax(broken))} of the probabilities contains NaN; the model is broken.")


def _hits(counts: Counts) -> Counts:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _f1(counts: Counts) -> Floats:
    return _ratio(2 * _hits(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def _ratio(numerator: Counts, denominator: Counts) -> Floats:
    """Divide; NaN without a warning if the denominator is 0."""
    undefined = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=undefined, where=denominator > 0)
    return undefined
