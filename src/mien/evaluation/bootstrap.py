"""Percentile bootstrap intervals: how far a score would move on another sample of as many images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from __future__ import annotations

import numpy as np

from mien.evaluation import metrics
from mien.evaluation.metrics import ECE_BINS, Floats, Labels, Probabilities

ROUNDS = 1000
LEVEL = 0.95


def bootstrap_intervals(
    probabilities: Probabilities, labels: Labels, rounds: int = ROUNDS
) -> dict[str, tuple[float, float]]:
    """Return the 95 % interval of each main score.

    Every round draws n images with replacement and computes all five scores on that draw. All are functions of sums
    over images (cells of the confusion matrix, log losses, gaps per confidence bin), so a round is one weighted sum.

    The ECE is a sum of absolute values, so noise only ever adds to it: its interval is biased upwards, more so with
    fewer images, and may not contain the ECE of the sample itself.

    Args:
        probabilities: (n, k), rows sum to 1.
        labels: The true class of each image, (n,).
        rounds: Number of resamples.

    Returns:
        (low, high) under accuracy, mean_class_accuracy, macro_f1, nll and ece.

    Raises:
        DataError: There are no images.
    """
    n, classes = len(labels), probabilities.shape[1]
    bins, gaps = metrics.confidence_gaps(probabilities, labels)
    losses = metrics.log_losses(probabilities, labels)
    cells = labels.astype(np.intp) * classes + metrics.predicted(probabilities)
    # sorted by cell and bin, so that each round sums over neighbours
    group = cells * ECE_BINS + bins
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    gaps, losses = gaps[order], losses[order]
    generator = np.random.default_rng(0)
    cell_sums = np.empty((rounds, classes * classes))
    gap_sums, loss_sums = np.empty((rounds, ECE_BINS)), np.empty(rounds)
    for i in range(rounds):
        weights = np.bincount(generator.integers(0, n, n), minlength=n).astype(np.float64)
        cell_sums[i] = np.bincount(present // ECE_BINS, np.add.reduceat(weights, starts), classes * classes)
        gap_sums[i] = np.bincount(present % ECE_BINS, np.add.reduceat(weights * gaps, starts), ECE_BINS)
        # not weights @ losses: BLAS threads wait for each other on shared cores
        loss_sums[i] = np.einsum("i,i", weights, losses)
    counts = np.rint(cell_sums).astype(np.int64).reshape(rounds, classes, classes)
    scores = {**metrics.main_scores(counts), "nll": loss_sums / n, "ece": np.abs(gap_sums).sum(axis=1) / n}
    return {name: percentile_interval(values) for name, values in scores.items()}


def percentile_interval(values: Floats) -> tuple[float, float]:
    """Return the bounds of the middle 95 % of the resampled scores (rounds,)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, (tail, 1 - tail)).tolist()
    return low, high
