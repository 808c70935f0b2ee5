"""Percentile bootstrap intervals: how far a score would move on another sample of as many images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.evaluation import metrics
from mien.evaluation.metrics import ECE_BINS, Floats, Labels, Probabilities

ROUNDS = 1000
LEVEL = 0.95


class _Terms(NamedTuple):
    """What each image adds to the sums that the scores are made of; four arrays (n,)."""

    cells: NDArray[np.intp]
    bins: NDArray[np.intp]
    gaps: Floats
    losses: Floats


def bootstrap_intervals(
    probabilities: Probabilities, labels: Labels, rounds: int = ROUNDS, level: float = LEVEL, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the lower and upper bound of each main score.

    Every round draws n images with replacement and scores all five metrics on that one draw. All five are
    functions of sums over images (cells of the confusion matrix, log losses, gaps per confidence bin), so a
    round is one weighted sum and no image is scored twice.

    The ECE is a sum of absolute values, so noise only ever adds to it: its interval lies high, the more so
    the fewer images there are, and may leave out the ECE of the sample itself.

    Args:
        probabilities: (n, k), rows sum to 1.
        labels: The true class of each image, (n,).
        rounds: How many resamples.
        level: The probability mass between the bounds, in (0, 1).
        seed: Seed of the resampling; the same seed gives the same bounds.

    Returns:
        (low, high) under accuracy, mean_class_accuracy, macro_f1, nll and ece.

    Raises:
        DataError: There are no images.
    """
    n, classes = len(labels), probabilities.shape[1]
    bins, gaps = metrics.confidence_gaps(probabilities, labels)
    cells = labels.astype(np.intp) * classes + metrics.predicted(probabilities)
    terms = _Terms(cells, bins, gaps, metrics.log_losses(probabilities, labels))
    cell_sums, gap_sums, losses = _resample(terms, classes * classes, rounds, seed)
    counts = np.rint(cell_sums).astype(np.int64).reshape(rounds, classes, classes)
    draws = {
        **metrics.main_scores(counts),
        "nll": losses / n,
        "ece": np.abs(gap_sums).sum(axis=1) / n,
    }
    return {name: percentile_interval(values, level) for name, values in draws.items()}


def percentile_interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the bounds between which the middle `level` of the resampled scores (rounds,) lie."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, (tail, 1 - tail)).tolist()
    return low, high


def _resample(terms: _Terms, cell_count: int, rounds: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Return per round: images a cell (rounds, cells), gaps a bin (rounds, bins), summed loss (rounds,)."""
    # Images of one cell and one bin stand together, so that each round sums over neighbours.
    group = terms.cells * ECE_BINS + terms.bins
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    gaps, losses, n = terms.gaps[order], terms.losses[order], len(order)
    generator = np.random.default_rng(seed)
    cell_sums = np.empty((rounds, cell_count))
    gap_sums = np.empty((rounds, ECE_BINS))
    loss_sums = np.empty(rounds)
    for i in range(rounds):
        weights = np.bincount(generator.integers(0, n, n), minlength=n).astype(np.float64)
        cell_sums[i] = np.bincount(present // ECE_BINS, np.add.reduceat(weights, starts), cell_count)
        gap_sums[i] = np.bincount(present % ECE_BINS, np.add.reduceat(weights * gaps, starts), ECE_BINS)
        # not weights @ losses: its threads wait for each other where cores are shared
        loss_sums[i] = np.einsum("i,i", weights, losses)
    return cell_sums, gap_sums, loss_sums
