"""Two models on the same images: is one better, or is it chance? McNemar's test and paired bootstrap intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.evaluation import metrics
from mien.evaluation.bootstrap import ROUNDS, percentile_interval
from mien.evaluation.metrics import Counts
from mien.evaluation.predictions import Predictions


def mcnemar(only_first: int, only_second: int) -> dict[str, float]:
    r"""Test whether two models are correct on equally many images, from the images on which they differ.

    Under that hypothesis the smaller count is binomial with n = `only_first + only_second` and 1/2. The exact two-sided
    p-value is :math:`\min(1, 2 P(X \le k))`; the mid-p-value counts only half of the outcomes that are exactly as
    extreme, and is less conservative. Without a differing image both are 1.

    >>> {name: round(value, 3) for name, value in mcnemar(3, 9).items()}
    {'only_first': 3, 'only_second': 9, 'p_exact': 0.146, 'p_mid': 0.092}

    Source: Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are
    better than exact conditional", BMC Medical Research Methodology 13:91, 2013.

    Args:
        only_first: Images that only the first model classifies correctly.
        only_second: Images that only the second one does.
    """
    n, k = only_first + only_second, min(only_first, only_second)
    # exp of logarithms: the binomial coefficients of thousands of images exceed a float
    logs = (math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1))
    mass = [math.exp(log - n * math.log(2)) for log in logs]
    exact = min(1.0, 2 * math.fsum(mass))
    mid = min(1.0, 2 * math.fsum(mass) - mass[k])
    if only_first == only_second:
        exact, mid = 1.0, 1 - mass[k] / 2 if n else 1.0
    return {"only_first": only_first, "only_second": only_second, "p_exact": exact, "p_mid": mid}


def compare(first: Predictions, second: Predictions) -> dict[str, Any]:
    """Compare two models on the same images.

    Images are matched by row number and labels by name, so their order does not matter; a label that one of the models
    lacks is never its answer. The fingerprints may differ: they do if two networks read the images at different sizes;
    `same_fingerprint` says so.

    Returns:
        A JSON-ready dict: `first` and `second` (model, selection, views and three scores); `difference`, second minus
        first, of accuracy, mean_class_accuracy and macro_f1; `intervals` of the differences; `mcnemar`; `both_right`
        and `both_wrong` images; `per_class`, the recalls and n. `without_duplicates` holds the same for the images
        without a duplicate in training; if every image has one, `n` is 0 there and all else None.

    Raises:
        DataError: The files are not of the same images with the same annotation, or have none.
    """
    _check_same_images(first, second)
    labels = LabelSet(tuple(dict.fromkeys([*first.label_set, *second.label_set])))
    first = first.with_labels(labels)
    second = _matched(first, second.with_labels(labels))
    compared = _compare_images(first, second)
    keep = ~first.is_duplicate
    rest: dict[str, Any] = dict.fromkeys(compared) | {"n": 0}
    if keep.any():
        rest = _compare_images(first.subset(keep), second.subset(keep))
    origin = {"dataset": first.dataset, "folder": first.folder, "split": first.split}
    same = first.fingerprint == second.fingerprint
    return {**origin, "same_fingerprint": same, **compared, "without_duplicates": rest}


def _matched(first: Predictions, second: Predictions) -> Predictions:
    """Return the second file's images in the first one's order; both have the same label set."""
    to_first = np.argsort(np.argsort(first.rows))
    second = second.subset(np.argsort(second.rows)[to_first])
    wrong = int((second.labels != first.labels).sum())
    if wrong:
        raise DataError(
            f"The files are of different images: {wrong} of {len(first)} have other labels; use the same data."
        )
    return replace(second, is_duplicate=first.is_duplicate)


def _check_same_images(first: Predictions, second: Predictions) -> None:
    for name in ("dataset", "split"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise DataError(f"The files are of different images: {name} {one} and {other}; predict the same split.")
    if not first.is_of_same_data(second):
        raise DataError(
            f"The files are of different images: folder {first.folder} and {second.folder}; predict the same folder."
        )
    for one, other in ((first, second), (second, first)):
        if missing := set(one.left_out) & set(other.label_set.names):
            raise DataError(
                f"The scores of '{one.model}' leave out the labels {', '.join(sorted(missing))}, the other's do not;"
                " evaluate both with --labels-of-data, or neither."
            )
    for predictions in (first, second):
        if len(np.unique(predictions.rows)) != len(predictions):
            raise DataError(f"Predictions of '{predictions.model}' contain an image twice; predict the split again.")
    if not np.array_equal(np.sort(first.rows), np.sort(second.rows)):
        shared = len(np.intersect1d(first.rows, second.rows))
        raise DataError(
            f"The files are of different images: {len(first)} and {len(second)}, {shared} of them shared; predict the"
            " same split with both models."
        )


def _compare_images(first: Predictions, second: Predictions) -> dict[str, Any]:
    labels, k = first.labels, len(first.label_set)
    one, other = (metrics.predicted(p.probabilities) for p in (first, second))
    # how many images have each triple of true, first and second class
    cells = (labels.astype(np.intp) * k + one) * k + other
    joint = np.bincount(cells, minlength=k**3).astype(np.int64).reshape(k, k, k)
    counts = _both(joint)
    scores = [{name: float(score) for name, score in metrics.main_scores(c).items()} for c in counts]
    is_right, is_other_right = one == labels, other == labels
    test = mcnemar(int((is_right & ~is_other_right).sum()), int((is_other_right & ~is_right).sum()))
    return {
        "n": len(labels),
        **{
            key: {name: getattr(model, name) for name in ("model", "selection", "views")} | score
            for key, model, score in zip(("first", "second"), (first, second), scores, strict=True)
        },
        "difference": {name: scores[1][name] - scores[0][name] for name in scores[0]},
        "intervals": _difference_intervals(joint),
        "mcnemar": test,
        "both_right": int((is_right & is_other_right).sum()),
        "both_wrong": int((~is_right & ~is_other_right).sum()),
        "per_class": metrics.compare_recalls(first.label_set.names, first=counts[0], second=counts[1]),
    }


def _difference_intervals(joint: Counts) -> dict[str, list[float]]:
    """Return 95 % bootstrap intervals of score differences, second minus first, on the same drawn images.

    The scores depend only on how many images have each triple of true, first and second class, (k, k, k), and these
    numbers are multinomial if images are drawn with replacement, so no image needs to be drawn.
    """
    present = np.flatnonzero(joint)
    drawn = np.zeros((ROUNDS, joint.size), dtype=np.int64)
    shares = joint.ravel()[present] / joint.sum()
    drawn[:, present] = np.random.default_rng(0).multinomial(joint.sum(), shares, ROUNDS)
    one, other = (metrics.main_scores(counts) for counts in _both(drawn.reshape(ROUNDS, *joint.shape)))
    return {name: list(percentile_interval(other[name] - one[name])) for name in one}


def _both(joint: Counts) -> tuple[Counts, Counts]:
    """Return the two models' confusion matrices (..., k, k) of joint counts (..., k, k, k)."""
    return joint.sum(axis=-1), joint.sum(axis=-2)
