"""Agreement with FER+'s majorities: counted by hand, and scikit-learn's kappa."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_predictions import certain
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.data.votes import COLUMNS
from mien.evaluation.agreement import measure_agreement
from mien.evaluation.predictions import Predictions

CHOICES = COLUMNS[2:]


def vote(**counts: int) -> list[int]:
    return [counts.get(name.lower(), 0) for name in CHOICES]


def make(answers: list[str], labels: list[str], rows: list[int]) -> Predictions:
    classes, truth = ([FER2013_LABELS.index(word) for word in words] for words in (answers, labels))
    return certain(classes, truth, FER2013_LABELS.names, rows=np.array(rows))


COUNTS: NDArray[np.int64] = np.array(
    [
        vote(anger=10),  # not predicted
        vote(happiness=9, neutral=1),  # model and label right
        vote(neutral=8, sadness=2),  # model right, label sad
        vote(sadness=6, neutral=4),  # label right, model neutral
        vote(fear=7, surprise=3),  # both surprise
        vote(contempt=10),  # contempt is not one of the seven
        vote(nf=10),
        vote(happiness=3, sadness=3, neutral=4),  # no majority
    ]
)
LABELS = ["angry", "happy", "sad", "sad", "surprise", "neutral", "happy", "happy"]
OWN = np.array([FER2013_LABELS.index(word) for word in LABELS])
PREDICTIONS = make(
    ["happy", "neutral", "neutral", "surprise", "neutral", "happy", "sad"], LABELS[1:], [1, 2, 3, 4, 5, 6, 7]
)


def test_counts_by_hand() -> None:
    given = measure_agreement(PREDICTIONS, COUNTS, OWN)
    assert (given["n"], given["n_left_out"]) == (4, 3)
    assert (given["model"], given["label"]) == (0.5, 0.5)
    assert (given["mistakes"], given["mistakes_backed"]) == (2, 1)
    assert given["per_class"]["fear"] == {"model": 0, "label": 0, "n": 1}
    assert given["per_class"]["neutral"] == {"model": 1, "label": 0, "n": 1}
    assert given["per_class"]["angry"] == {"model": None, "label": None, "n": 0}
    majority = ["happy", "neutral", "sad", "fear"]
    assert given["kappa_model"] == pytest.approx(
        cohen_kappa_score(["happy", "neutral", "neutral", "surprise"], majority)
    )
    assert given["kappa_label"] == pytest.approx(cohen_kappa_score(["happy", "sad", "sad", "surprise"], majority))


def test_a_single_label_has_no_kappa() -> None:
    one = make(["happy"], ["happy"], [1])
    assert measure_agreement(one, COUNTS, OWN)["kappa_model"] is None


def test_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="expected predictions of fer2013"):
        measure_agreement(replace(PREDICTIONS, dataset="rafdb"), COUNTS, OWN)
    with pytest.raises(DataError, match="3 of 7 images are missing in this FER2013"):
        measure_agreement(PREDICTIONS, COUNTS[:5], OWN[:5])
    with pytest.raises(DataError, match="5 of 7 images"):
        measure_agreement(PREDICTIONS, COUNTS, np.roll(OWN, 1))
    with pytest.raises(DataError, match="None of the 1 images has a majority"):
        measure_agreement(make(["happy"], ["happy"], [7]), COUNTS, OWN)
