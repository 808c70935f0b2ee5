"""Two models on the same images: McNemar's test and paired intervals against plain counting and scipy."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_predictions import certain
from scipy.stats import binomtest

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.evaluation.comparison import compare, mcnemar
from mien.evaluation.predictions import Predictions

NAMES = ("happy", "sad", "neutral")


def make(answers: list[int], labels: list[int], **changes: Any) -> Predictions:
    rows = np.arange(len(labels)) + 10
    return certain(answers, labels, NAMES, **({"model": "one", "rows": rows} | changes))


@pytest.mark.parametrize(("b", "c"), [(1, 0), (3, 9), (9, 3), (0, 12), (5, 5), (40, 60), (900, 1000), (0, 3000)])
def test_the_exact_p_value_is_the_binomial_test(b: int, c: int) -> None:
    assert mcnemar(b, c)["p_exact"] == pytest.approx(binomtest(b, b + c, 0.5).pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("b", "c"), [(3, 9), (1, 0), (5, 5), (20, 31)])
def test_the_mid_p_value_halves_outcomes_as_extreme(b: int, c: int) -> None:
    n = b + c
    mass = {i: math.comb(n, i) / 2**n for i in range(n + 1)}
    beyond = sum(m for i, m in mass.items() if abs(2 * i - n) > abs(b - c))
    equal = sum(m for i, m in mass.items() if abs(2 * i - n) == abs(b - c))
    assert mcnemar(b, c)["p_mid"] == pytest.approx(beyond + equal / 2)


def test_values_by_hand() -> None:
    labels = [0, 0, 0, 1, 1, 2]
    first, second = make([0, 0, 1, 1, 0, 2], labels), make([0, 1, 0, 1, 1, 2], labels, model="two")
    given = compare(first, second)
    assert (given["first"]["model"], given["second"]["model"]) == ("one", "two")
    assert given["difference"]["accuracy"] == pytest.approx(1 / 6)
    assert given["difference"]["mean_class_accuracy"] == pytest.approx(0.5 / 3)
    assert (given["mcnemar"]["only_first"], given["mcnemar"]["only_second"]) == (1, 2)
    assert (given["both_right"], given["both_wrong"]) == (3, 0)
    assert given["per_class"]["sad"] == {"first": 0.5, "second": 1.0, "n": 2}
    assert json.loads(json.dumps(given, allow_nan=False)) == given


def test_order_of_images_and_labels_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 60).tolist()
    first = make(generator.integers(0, 3, 60).tolist(), labels)
    second = make(generator.integers(0, 3, 60).tolist(), labels, is_duplicate=np.arange(60) < 20)
    first = replace(first, is_duplicate=second.is_duplicate)
    columns = [2, 0, 1]
    other = replace(
        second.subset(generator.permutation(60)),
        label_set=LabelSet.of([NAMES[c] for c in columns]),
    )
    other = replace(other, probabilities=other.probabilities[:, columns], labels=np.argsort(columns)[other.labels])
    assert compare(first, other) == compare(first, second)
    assert compare(first, second)["without_duplicates"]["n"] == 40


def test_intervals_are_paired() -> None:
    """A model that is correct where another is, and on 40 more of 1000 images: an unpaired interval would contain 0."""
    labels = [0] * 1000
    first, second = make([1] * 500 + [0] * 500, labels), make([1] * 460 + [0] * 540, labels)
    low, high = compare(first, second)["intervals"]["accuracy"]
    half = 1.96 * np.sqrt(0.04 * 0.96 / 1000)
    assert (low, high) == pytest.approx((0.04 - half, 0.04 + half), abs=0.15 * half)


def test_only_duplicates_and_another_fingerprint() -> None:
    one = make([0, 1], [0, 1], is_duplicate=np.ones(2, dtype=np.bool_))
    given = compare(one, replace(one, fingerprint="x"))
    assert (given["without_duplicates"]["n"], given["without_duplicates"]["first"]) == (0, None)
    assert given["same_fingerprint"] is False


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"split": "test"}, "split validation and test"),
        ({"dataset": "other"}, "dataset fer2013 and other"),
        ({"folder": "others", "fingerprint": "x"}, "folder ours and others"),
        ({"rows": np.array([10, 11, 13])}, "2 of them shared"),
        ({"rows": np.array([10, 10, 11])}, "image twice"),
        ({"labels": np.array([0, 2, 2])}, "1 of 3 have other labels"),
        ({"label_set": LabelSet.of(["happy", "sad", "fear"])}, "1 of 3 have other labels"),
        ({"left_out": ("neutral",)}, "leave out the labels neutral"),
    ],
)
def test_different_images_are_refused(changes: dict[str, Any], text: str) -> None:
    one = make([0, 1, 2], [0, 1, 2], folder="ours")
    with pytest.raises(DataError, match=text):
        compare(one, replace(one, **changes))


@pytest.mark.parametrize("changes", [{"folder": "", "fingerprint": "x"}, {"folder": "renamed"}])
def test_the_same_images_are_compared_whatever_their_folder_is_called(changes: dict[str, Any]) -> None:
    one = make([0, 1, 2], [0, 1, 2], folder="ours")
    assert compare(one, replace(one, **changes))["difference"]["accuracy"] == 0
