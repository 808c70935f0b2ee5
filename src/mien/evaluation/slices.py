"""Scores per group of images: by subject, age, a measure of the image or any other column of a data set's metadata."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean
from mien.evaluation import metrics
from mien.evaluation.bootstrap import ROUNDS, percentile_interval
from mien.evaluation.metrics import Counts, Floats
from mien.evaluation.predictions import Predictions

SMALLEST_GROUP = 30
# A column with more values identifies images, it does not group them.
MAX_GROUPS = 1000
UNKNOWN = "(unknown)"
# Decimal numbers are not names but measures: they are grouped into this many ranges of about equal size.
RANGES = 5
DECIMAL = re.compile(r"-?\d+\.\d+")


def score_slices(
    predictions: Predictions, column: str, smallest: int = SMALLEST_GROUP, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Score each group of images that share a value of a metadata column.

    The largest gap is that between the groups with the highest and the lowest accuracy, among those with at least
    `smallest` images. Its interval is that of these two groups, as if they had been chosen beforehand. They were not,
    and some of many groups always differ by chance; `p_value` says how often a gap as large appears if the images of
    each label are assigned to the groups at random (permutation test; Good, "Permutation Tests", 2000). So a group with
    many happy faces, which are easy, is not taken for a better treated one. Each of these groups is also tested against
    the accuracy that its labels let expect (`expected`). That p-value is corrected for the number of groups by the
    distribution of the largest deviation (Westfall and Young, 1993).

    Args:
        predictions: A model's probabilities on one split.
        column: A column of `predictions.metadata`; images with the value "" form the group "(unknown)". Decimal numbers
            are divided into five ranges of about equal size.
        smallest: Images that a group needs to count for the gap; 1 or more.
        rounds: Bootstrap rounds and permutations.

    Returns:
        A JSON-ready dict: `column`, `smallest`, `groups` by value, in order (each `n`, `is_small`, `accuracy`,
        `mean_class_accuracy`, `macro_f1`, their `intervals`, and `expected` and `p_corrected`, None if it is small) and
        `gap`: `highest`, `lowest`, `accuracy`, `interval` and `p_value`, or None if fewer than two groups are large.

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
            "expected": None,
            "p_corrected": None,
            **{name: float(score) for name, score in metrics.main_scores(counts[value]).items()},
            "intervals": {
                name: list(percentile_interval(scores)) for name, scores in metrics.main_scores(draws[value]).items()
            },
        }
    large = [value for value in groups if not scored[value]["is_small"]]
    gap = None
    if len(large) > 1:
        dealt = _deal([counts[value] for value in large], rounds, generator)
        p_values = _corrected([counts[value] for value in large], dealt)
        for value, expected, p_value in zip(large, dealt.mean(axis=0).tolist(), p_values, strict=True):
            scored[value] |= {"expected": expected, "p_corrected": p_value}
        gap = _gap({v: counts[v] for v in large}, {v: draws[v] for v in large}, dealt)
    return {"column": column, "smallest": smallest, "groups": scored, "gap": gap}


def _group(predictions: Predictions, column: str) -> dict[str, NDArray[np.intp]]:
    if column not in predictions.metadata:
        known = list(predictions.metadata)
        there = f"Columns: {', '.join(known)}." if known else "The data set has no metadata."
        raise DataError(f"No column '{column}' in the predictions.{did_you_mean(column, known)} {there}")
    if not len(predictions):
        raise DataError(metrics.NO_IMAGES)
    texts = predictions.metadata[column]
    if all(DECIMAL.fullmatch(text) for text in texts if text) and any(texts):
        texts = _ranges(texts)
    values, groups = np.unique(np.where(texts == "", UNKNOWN, texts), return_inverse=True)
    if len(values) > MAX_GROUPS:
        raise DataError(
            f"Column '{column}' has {len(values)} values for {len(predictions)} images; expected at most"
            f" {MAX_GROUPS:,} groups. Choose a column whose values several images share."
        )
    return {str(value): np.flatnonzero(groups == i) for i, value in enumerate(values)}


def _ranges(texts: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the range of each decimal number, numbered so that they sort in order: "1: 0.25 to 3.5"."""
    numbers = np.array([float(text) if text else np.nan for text in texts])
    known = numbers[~np.isnan(numbers)]
    limits = np.quantile(known, np.arange(1, RANGES) / RANGES)
    places = np.searchsorted(limits, numbers, side="left")
    names = {
        place: f"{place + 1}: {known[inside].min():.4g} to {known[inside].max():.4g}"
        for place in range(RANGES)
        if (inside := np.searchsorted(limits, known, side="left") == place).any()
    }
    return np.array([names[place] if text else "" for place, text in zip(places.tolist(), texts, strict=True)])


def _deal(counts: list[Counts], rounds: int, generator: np.random.Generator) -> Floats:
    """Return the groups' accuracies if the images of each label are assigned to them at random, (rounds, groups)."""
    cells = np.array(counts)  # (groups, labels, predictions)
    of_label = cells.sum(axis=2)
    right = np.einsum("gll->l", cells)
    # the correct predictions of one label's images are then multivariate hypergeometric
    dealt = [
        generator.multivariate_hypergeometric(sizes, hits, rounds, method="marginals")
        for sizes, hits in zip(of_label.T, right, strict=True)
        if sizes.sum()
    ]
    return np.asarray(np.sum(dealt, axis=0) / of_label.sum(axis=1))


def _corrected(counts: list[Counts], dealt: Floats) -> list[float]:
    """Return for each group how often, by chance, any group deviates as much from what its labels let expect."""
    accuracy = np.array([float(metrics.accuracy(matrix)) for matrix in counts])
    expected, spread = dealt.mean(axis=0), np.maximum(dealt.std(axis=0), 1e-9)
    largest = (np.abs(dealt - expected) / spread).max(axis=1)
    observed = np.abs(accuracy - expected) / spread
    return [float((1 + (largest >= value - 1e-9).sum()) / (1 + len(dealt))) for value in observed]


def _gap(counts: dict[str, Counts], draws: dict[str, Counts], dealt: Floats) -> dict[str, Any]:
    accuracy = {value: float(metrics.accuracy(matrix)) for value, matrix in counts.items()}
    highest, lowest = max(accuracy, key=accuracy.__getitem__), min(accuracy, key=accuracy.__getitem__)
    gap = accuracy[highest] - accuracy[lowest]
    as_large = int((np.ptp(dealt, axis=1) >= gap - 1e-12).sum())
    differences = metrics.accuracy(draws[highest]) - metrics.accuracy(draws[lowest])
    return {
        "highest": highest,
        "lowest": lowest,
        "accuracy": gap,
        "interval": list(percentile_interval(differences)),
        "p_value": (1 + as_large) / (1 + len(dealt)),
    }
