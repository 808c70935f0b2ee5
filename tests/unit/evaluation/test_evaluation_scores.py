"""The score of a predictions file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from made_predictions import make_predictions

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import score, score_calibrated

MAIN = {"accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece"}
DETAILS = {"n", "brier", "top2", "top5", "weighted_f1", "per_class", "confusion", "labels", "intervals"}
ORIGIN = {"left_out", "model", "dataset", "folder", "split", "selection", "views", "fingerprint"}
KEYS = MAIN | DETAILS | ORIGIN


def make(is_duplicate: list[bool]) -> Predictions:
    """Four images of happy and sad, none of neutral: correct, correct, wrong, correct."""
    return make_predictions(
        [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]], [0, 1, 1, 0], ["happy", "sad", "neutral"],
        is_duplicate=np.array(is_duplicate), selection="best epoch",
    )  # fmt: skip


def test_values_with_and_without_duplicates() -> None:
    given = score(make([False, False, True, False]))
    rest = given["without_duplicates"]
    assert set(given) == KEYS | {"without_duplicates"}
    assert set(rest) == KEYS
    assert json.loads(json.dumps(given, allow_nan=False)) == given
    assert (given["n"], given["selection"]) == (4, "best epoch")
    assert given["accuracy"] == given["mean_class_accuracy"] == 0.75
    assert given["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert given["nll"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.1)) / 4)
    assert set(given["intervals"]) == MAIN
    assert given["intervals"]["accuracy"][0] <= 0.75 <= given["intervals"]["accuracy"][1]
    assert given["per_class"]["neutral"] == {"precision": None, "recall": None, "f1": None, "n": 0}
    assert given["per_class"]["sad"] == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3), "n": 2}
    assert (rest["n"], rest["accuracy"], rest["confusion"]) == (3, 1, [[2, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_only_duplicates_and_no_images() -> None:
    given = score(make([True] * 4))
    assert set(given["without_duplicates"]) == KEYS
    assert (given["without_duplicates"]["n"], given["without_duplicates"]["accuracy"]) == (0, None)
    with pytest.raises(DataError, match="no images"):
        score(make([True] * 4).without_duplicates())


def overconfident(n: int, power: float = 2.0, seed: int = 0) -> Predictions:
    """Labels drawn from known probabilities; the model gives their `power`-th power, which T = `power` undoes."""
    generator = np.random.default_rng(seed)
    true = generator.dirichlet(np.ones(3), n)
    labels = (generator.random(n)[:, None] > true.cumsum(axis=1)[:, :2]).sum(axis=1)
    sharpened = true**power
    return replace(
        make([False] * 4),
        probabilities=(sharpened / sharpened.sum(axis=1, keepdims=True)).astype(np.float32),
        labels=labels,
        is_duplicate=np.arange(n) % 2 == 0,
        rows=np.arange(n),
    )


def test_the_temperature_that_was_applied_is_found() -> None:
    predictions = overconfident(6000)
    given = score_calibrated(predictions)
    assert given["temperature"] == pytest.approx(2, rel=0.1)
    assert (given["n_fitted"], given["n"]) == (3000, 3000)
    assert given["after"]["ece"] < 0.3 * given["before"]["ece"]
    assert given["after"]["nll"] < given["before"]["nll"]
    assert "every second image" in given["fitted_on"]


def test_a_temperature_from_another_file_with_another_order_of_labels() -> None:
    other = replace(overconfident(6000, seed=1), split="train", rows=np.arange(500, 6500))
    columns = [1, 2, 0]
    reordered = replace(
        other,
        probabilities=other.probabilities[:, columns],
        labels=np.argsort(columns)[other.labels],
        label_set=LabelSet.of(["sad", "neutral", "happy"]),
    )
    predictions = overconfident(500)
    given = score_calibrated(predictions, reordered)
    assert given == score_calibrated(predictions, other)
    assert given["temperature"] == pytest.approx(2, rel=0.1)
    assert (given["fitted_on"], given["n_fitted"], given["n"]) == ("fer2013, train", 6000, 500)
    assert given["before"]["ece"] == score(predictions)["ece"]


def test_what_is_fitted_on_is_never_scored() -> None:
    predictions = overconfident(100)
    with pytest.raises(DataError, match="100 of 100 images would be both"):
        score_calibrated(predictions, predictions)
    with pytest.raises(DataError, match="100 of 100 images would be both"):  # a split by another name, drawn elsewhere
        score_calibrated(predictions, replace(predictions, split="train"))
    with pytest.raises(DataError, match="labels to fit the temperature on"):
        score_calibrated(predictions, replace(predictions, label_set=LabelSet.of(["happy", "sad", "fear"])))
    with pytest.raises(DataError, match="needs 2 or more"):
        score_calibrated(predictions.subset(np.array([0])))


def test_a_temperature_is_fitted_on_another_folder() -> None:
    """Rows are counted in each folder anew, so equal ones say nothing of two folders."""
    ours, others = (replace(overconfident(200, seed=i), dataset="folder", folder=str(i)) for i in (1, 2))
    given = score_calibrated(ours, replace(others, fingerprint="x"))
    assert given["fitted_on"] == "folder 2, validation"
    with pytest.raises(DataError, match="both fitted on and scored"):
        score_calibrated(ours, replace(others, fingerprint=ours.fingerprint))
