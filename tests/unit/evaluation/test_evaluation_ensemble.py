"""The mean of several models' probabilities."""

import dataclasses

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.evaluation.ensemble import average, describe_members, short_name
from mien.evaluation.predictions import Predictions

LABELS = LabelSet.of(["happy", "sad"])


def predictions(probabilities, **changes):
    made = Predictions(
        probabilities=np.array(probabilities, dtype=np.float32),
        labels=np.array([0, 1]),
        label_set=LABELS,
        model="one",
        dataset="drawn",
        split="validation",
        fingerprint="f",
        is_duplicate=np.zeros(2, dtype=np.bool_),
        rows=np.array([3, 4]),
        selection="last epoch",
    )
    return dataclasses.replace(made, **changes)


ONE = predictions([[0.9, 0.1], [0.6, 0.4]])
TWO = predictions([[0.3, 0.7], [0.1, 0.9]], model="two", fingerprint="g", selection="best epoch")


def test_probabilities_are_averaged_and_names_listed():
    both = average([ONE, TWO])
    np.testing.assert_allclose(both.probabilities, [[0.6, 0.4], [0.35, 0.65]])
    assert (both.model, both.fingerprint, both.selection) == ("one + two", "f", "last epoch, best epoch")
    assert average([ONE, TWO, ONE]).model == "2 x one + two"
    assert describe_members([ONE, TWO]) == [{"model": "one", "accuracy": 0.5}, {"model": "two", "accuracy": 0.5}]


def test_files_of_different_ensembles_have_different_names():
    names = {short_name(average(members), len(members)) for members in ([ONE, TWO], [ONE, ONE], [ONE, TWO, TWO])}
    assert len(names) == 3
    assert all(name.startswith("ensemble-of-") for name in names)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"dataset": "other"}, "have other dataset"),
        ({"split": "test"}, "have other split"),
        ({"views": "flip"}, "have other views"),
        ({"label_set": LabelSet.of(["sad", "happy"])}, "have other label_set"),
        ({"rows": np.array([4, 3])}, "were predicted on other images of 'drawn'"),
        ({"labels": np.array([1, 1])}, "were predicted on other images of 'drawn'"),
    ],
)
def test_members_must_have_seen_the_same(changes, line):
    with pytest.raises(DataError, match=line):
        average([ONE, dataclasses.replace(TWO, **changes)])
