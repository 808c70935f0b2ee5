"""The score of a predictions file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import score

MAIN = {"accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece"}
DETAILS = {"n", "brier", "top2", "per_class", "confusion", "labels", "intervals"}
ORIGIN = {"model", "dataset", "split", "selection", "fingerprint"}
KEYS = MAIN | DETAILS | ORIGIN


def make(has_twin: list[bool]) -> Predictions:
    """Four images of happy and sad, none of neutral: right, right, wrong, right."""
    return Predictions(
        probabilities=np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]], np.float32),
        labels=np.array([0, 1, 1, 0]),
        label_set=LabelSet.of(["happy", "sad", "neutral"]),
        model="small",
        dataset="folder",
        split="validation",
        fingerprint="abc",
        has_twin=np.array(has_twin),
        rows=np.arange(4),
        selection="best epoch",
    )


def test_all_keys_under_both() -> None:
    given = score(make([False, False, True, False]), rounds=20)
    assert set(given) == KEYS | {"without_twins"}
    assert set(given["without_twins"]) == KEYS
    assert json.loads(json.dumps(given, allow_nan=False)) == given


def test_values_with_and_without_twins() -> None:
    given = score(make([False, False, True, False]), rounds=20)
    assert (given["n"], given["without_twins"]["n"]) == (4, 3)
    assert given["accuracy"] == 0.75
    assert given["mean_class_accuracy"] == 0.75
    assert given["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert given["nll"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.1)) / 4)
    assert given["without_twins"]["accuracy"] == 1
    assert given["without_twins"]["confusion"] == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert given["selection"] == "best epoch"


def test_undefined_class_scores_are_none() -> None:
    rows = score(make([False] * 4), rounds=0)["per_class"]
    assert rows["neutral"] == {"precision": None, "recall": None, "f1": None, "n": 0}
    assert rows["sad"] == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3), "n": 2}


def test_intervals() -> None:
    given = score(make([False] * 4), rounds=50)
    assert set(given["intervals"]) == MAIN
    low, high = given["intervals"]["accuracy"]
    assert low <= 0.75 <= high
    assert score(make([False] * 4), rounds=0)["intervals"] == {}


def test_every_image_has_a_twin() -> None:
    rest = score(make([True] * 4), rounds=0)["without_twins"]
    assert set(rest) == KEYS
    assert rest["n"] == 0
    assert rest["accuracy"] is None


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        score(make([True] * 4).without_twins())
