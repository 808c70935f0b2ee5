"""Scores per group, the largest gap, and whether it is chance."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from made_predictions import certain

from mien.core.errors import DataError
from mien.evaluation.predictions import Predictions
from mien.evaluation.slices import score_slices


def make(sizes: dict[str, int], right: dict[str, int]) -> Predictions:
    """Images of "happy"; the sizes of the groups, and how many are correct in each."""
    groups = np.concatenate([[name] * n for name, n in sizes.items()]).astype(np.str_)
    answers = np.concatenate([[0] * right[name] + [1] * (n - right[name]) for name, n in sizes.items()]).astype(int)
    order = np.random.default_rng(1).permutation(len(groups))
    metadata = {"subject": groups[order]}
    return certain(answers[order], [0] * len(groups), ["happy", "sad"], metadata=metadata)


def test_values_and_the_gap() -> None:
    predictions = make({"a": 100, "b": 200, "c": 5}, {"a": 90, "b": 120, "c": 0})
    given = score_slices(predictions, "subject")
    assert list(given["groups"]) == ["a", "b", "c"]
    assert [row["n"] for row in given["groups"].values()] == [100, 200, 5]
    assert [row["accuracy"] for row in given["groups"].values()] == [0.9, 0.6, 0.0]
    assert [row["is_small"] for row in given["groups"].values()] == [False, False, True]
    gap = given["gap"]
    assert (gap["highest"], gap["lowest"]) == ("a", "b")
    assert gap["accuracy"] == pytest.approx(0.3)
    half = 1.96 * np.sqrt(0.09 / 100 + 0.24 / 200)
    assert gap["interval"] == pytest.approx([0.3 - half, 0.3 + half], abs=0.2 * half)
    assert gap["p_value"] == pytest.approx(1 / 1001)
    assert json.loads(json.dumps(given, allow_nan=False)) == given


def test_equal_groups_have_a_gap_by_chance_only() -> None:
    """The best and the worst of forty groups of one rate differ, and the p-value accounts for that."""
    sizes = {f"s{i:02}": 50 for i in range(30)}
    gaps = []
    for seed in range(20):
        right = np.random.default_rng(seed).binomial(50, 0.7, 30).tolist()
        gaps.append(score_slices(make(sizes, dict(zip(sizes, right, strict=True))), "subject", rounds=200)["gap"])
    assert all(gap["interval"][0] > 0 for gap in gaps)
    p_values = [gap["p_value"] for gap in gaps]
    assert 0.3 < np.median(p_values) < 0.7
    assert sum(p <= 0.05 for p in p_values) <= 3


def test_unknown_values_form_a_group_and_one_group_has_no_gap() -> None:
    given = score_slices(make({"": 40, "b": 5}, {"": 4, "b": 5}), "subject")
    assert list(given["groups"]) == ["(unknown)", "b"]
    assert given["gap"] is None
    named = score_slices(make({"": 40, "(unknown)": 5, "b": 5}, {"": 4, "(unknown)": 5, "b": 5}), "subject")
    assert {value: row["n"] for value, row in named["groups"].items()} == {"(unknown)": 45, "b": 5}


def test_bad_input() -> None:
    predictions = make({"a": 3}, {"a": 1})
    with pytest.raises(DataError, match=r"No column 'subjct'.*Did you mean 'subject'"):
        score_slices(predictions, "subjct")
    with pytest.raises(DataError, match="The data set has no metadata"):
        score_slices(replace(predictions, metadata={}), "subject")
    with pytest.raises(DataError, match="Smallest group of 0"):
        score_slices(predictions, "subject", smallest=0)
    with pytest.raises(DataError, match="no images"):
        score_slices(predictions.subset(np.zeros(3, dtype=np.bool_)), "subject")
    many = make({str(i): 1 for i in range(1001)}, {str(i): 1 for i in range(1001)})
    with pytest.raises(DataError, match="1001 values"):
        score_slices(many, "subject")


def test_decimal_numbers_are_divided_into_ranges() -> None:
    answers = np.array([0] * 90 + [1] * 10)
    numbers = np.array([f"{value / 100:.2f}" for value in range(99)] + [""])
    given = score_slices(certain(answers, [0] * 100, ["happy", "sad"], metadata={"light": numbers}), "light", 10)
    assert list(given["groups"]) == [
        "(unknown)", "1: 0 to 0.19", "2: 0.2 to 0.39", "3: 0.4 to 0.58", "4: 0.59 to 0.78", "5: 0.79 to 0.98",
    ]  # fmt: skip
    assert [row["n"] for row in given["groups"].values()] == [1, 20, 20, 19, 20, 20]
    assert given["groups"]["(unknown)"]["p_corrected"] is None
    assert given["groups"]["5: 0.79 to 0.98"]["p_corrected"] < 0.01 < given["groups"]["2: 0.2 to 0.39"]["p_corrected"]


def test_numbers_without_a_point_are_names() -> None:
    given = score_slices(make({"7": 40, "8": 40}, {"7": 40, "8": 40}), "subject")
    assert list(given["groups"]) == ["7", "8"]


def test_a_group_of_hard_expressions_is_not_a_badly_treated_one() -> None:
    """Happy faces are all recognized, sad ones by halves, equally in both groups: the gap is the mix alone."""
    labels = np.array(([0] * 180 + [1] * 20) + ([0] * 20 + [1] * 180))
    groups = np.array(["mostly happy"] * 200 + ["mostly sad"] * 200)
    answers = np.where((labels == 1) & (np.arange(400) % 2 == 0), 0, labels)
    given = score_slices(certain(answers, labels.tolist(), ["happy", "sad"], metadata={"place": groups}), "place")
    rows = given["groups"]
    assert rows["mostly happy"]["accuracy"] == 0.95
    assert rows["mostly happy"]["expected"] == pytest.approx(0.95, abs=0.01)
    assert rows["mostly sad"]["expected"] == pytest.approx(0.55, abs=0.01)
    assert min(row["p_corrected"] for row in rows.values()) > 0.5
    assert given["gap"]["accuracy"] == pytest.approx(0.4)
    assert given["gap"]["p_value"] > 0.3


def test_one_of_many_groups_stands_out_after_correction() -> None:
    sizes = {f"s{i:02}": 50 for i in range(20)}
    right = dict.fromkeys(sizes, 35) | {"s07": 20}
    rows = score_slices(make(sizes, right), "subject")["groups"]
    assert rows["s07"]["p_corrected"] < 0.01
    assert all(row["p_corrected"] > 0.05 for name, row in rows.items() if name != "s07")
