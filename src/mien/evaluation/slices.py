"""Scores per group of images: by subject, age, skin tone or any other column of a data set's metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean
from mien.evaluation import metrics
from mien.evaluation.bootstrap import ROUNDS, percentile_interval
from mien.evaluation.metrics import Counts
from mien.evaluation.predictions import Predictions

SMALLEST_GROUP = 30
# A column with more values identifies images, it does not group them.
MAX_GROUPS = 1000
UNKNOWN = "(unknown)"


def score_slices(
    predictions: Predictions, column: str, smallest: int = SMALLEST_GROUP, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Score each group of images that share a value of a metadata column.

    The largest gap is that between the groups with the highest and the lowest accuracy, among those with at least
    `smallest` images. Its interval is that of these two groups, as if they had been chosen beforehand. They were not,
    and some of many groups always differ by chance; `p_value` says how often a gap as large appears if the images are
    assigned to the groups at random (permutation test; Good, "Permutation Tests", 2000).

    Args:
        predictions: A model's probabilities on one split.
        column: A column of `predictions.metadata`; images with the value "" form the group "(unknown)".
        smallest: Images that a group needs to count for the gap; 1 or more.
        rounds: Bootstrap rounds and permutations.

    Returns:
        A JSON-ready dict: `column`, `smallest`, `groups` by value, in order (each `n`, `is_small`, `accuracy`,
        `mean_class_accuracy`, `macro_f1` and their `intervals`), and `gap`: `highest`, `lowest`, `accuracy`, `interval`
        and `p_value`; None if fewer than two groups are large enough.

    Raises:
        DataError: There is no such column, it has more than 1,000 values, or there are no images.
    """
    if smallest < 1:
        raise DataError(f"Smallest group of {smallest} images given; expected 1 or more.")
    groups = _group(predictions, column)
    generator = np.random.default_rng(0)
    counts, draws, scored = {}, {}, {}
    for value, rows in groups.items():
        predicted = metrics.predicted(predictions.probabilities[rows])
        counts[value] = metrics.confusion(predictions.labels[rows], predicted, len(predictions.label_set))
        # as many images drawn with replacement have multinomial counts: (rounds, k, k)
        shares = counts[value].ravel() / len(rows)
        draws[value] = generator.multinomial(len(rows), shares, rounds).reshape(rounds, *counts[value].shape)
        scored[value] = {
            "n": len(rows),
            "is_small": len(rows) < smallest,
            **{name: float(score) for name, score in metrics.main_scores(counts[value]).items()},
            "intervals": {
                name: list(percentile_interval(scores)) for name, scores in metrics.main_scores(draws[value]).items()
            },
        }
    large = [value for value in groups if not scored[value]["is_small"]]
    gap = _gap({v: counts[v] for v in large}, {v: draws[v] for v in large}, rounds, generator)
    return {"column": column, "smallest": smallest, "groups": scored, "gap": gap}


def _group(predictions: Predictions, column: str) -> dict[str, NDArray[np.intp]]:
    if column not in predictions.metadata:
        known = list(predictions.metadata)
        there = f"Columns: {', '.join(known)}." if known else "The data set has no metadata."
        raise DataError(f"No column '{column}' in the predictions.{did_you_mean(column, known)} {there}")
    if not len(predictions):
        raise DataError(metrics.NO_IMAGES)
    texts = predictions.metadata[column]
    values, groups = np.unique(np.where(texts == "", UNKNOWN, texts), return_inverse=True)
    if len(values) > MAX_GROUPS:
        raise DataError(
            f"Column '{column}' has {len(values)} values for {len(predictions)} images; expected at most"
            f" {MAX_GROUPS:,} groups. Choose a column whose values several images share."
        )
    return {str(value): np.flatnonzero(groups == i) for i, value in enumerate(values)}


def _gap(
    counts: dict[str, Counts], draws: dict[str, Counts], rounds: int, generator: np.random.Generator
) -> dict[str, Any] | None:
    if len(counts) < 2:
        return None
    accuracy = {value: float(metrics.accuracy(matrix)) for value, matrix in counts.items()}
    highest, lowest = max(accuracy, key=accuracy.__getitem__), min(accuracy, key=accuracy.__getitem__)
    gap = accuracy[highest] - accuracy[lowest]
    # assigned at random, the correct predictions of the groups are multivariate hypergeometric
    sizes = np.array([int(matrix.sum()) for matrix in counts.values()])
    right = sum(int(np.trace(matrix)) for matrix in counts.values())
    dealt = generator.multivariate_hypergeometric(sizes, right, rounds, method="marginals") / sizes
    as_large = int((np.ptp(dealt, axis=1) >= gap - 1e-12).sum())
    differences = metrics.accuracy(draws[highest]) - metrics.accuracy(draws[lowest])
    return {
        "highest": highest,
        "lowest": lowest,
        "accuracy": gap,
        "interval": list(percentile_interval(differences)),
        "p_value": (1 + as_large) / (1 + rounds),
    }
