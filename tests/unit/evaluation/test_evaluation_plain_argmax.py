"""The score by plain argmax beside that of a rule that leaves images out."""

import dataclasses

import numpy as np
import pytest
from pixel_model import SIZE, PixelModel

from mien.core.expressions import LabelSet
from mien.data.dataset import FaceDataset
from mien.evaluation.ensemble import average
from mien.evaluation.plain_argmax import score_plain_argmax
from mien.evaluation.predict import predict_split

LABELS = LabelSet.of(["happy", "sad"])


def faces(answers, labels, **more):
    """Return images for which the model gives these answers: its probability of happy, times 255."""
    images = np.zeros((len(answers), SIZE, SIZE), dtype=np.uint8)
    images[:, 0, 0] = answers
    images[:, 0, 1] = 255 - np.array(answers)
    splits = np.full(len(answers), "validation")
    return FaceDataset("drawn", images, np.array(labels), splits, LABELS, **more)


CLEAR = faces([204, 51, 204], [0, 1, 1])  # right, right, wrong
UNCLEAR = faces([51, 204, 51], [0, 0, 1])  # wrong, right, right
BOTH = dataclasses.replace(CLEAR, unclear=UNCLEAR)
MODEL = PixelModel("happy", "sad")


def test_both_kinds_of_images_are_scored_together():
    official = predict_split(MODEL, BOTH, "validation")
    (scores,) = score_plain_argmax([(MODEL, BOTH)], "validation", official).values()
    assert len(official) == 3
    assert scores == {"n": 6, "accuracy": pytest.approx(4 / 6), "mean_class_accuracy": pytest.approx(4 / 6)}


def test_there_is_none_without_images_that_are_left_out():
    official = predict_split(MODEL, CLEAR, "validation")
    assert score_plain_argmax([(MODEL, CLEAR)], "validation", official) == {}
    elsewhere = dataclasses.replace(UNCLEAR, splits=np.full(3, "train"))
    empty = UNCLEAR.subset(np.array([], dtype=np.int64))
    for unclear in (elsewhere, empty):
        part = dataclasses.replace(CLEAR, unclear=unclear)
        assert score_plain_argmax([(MODEL, part)], "validation", official) == {}


def test_an_ensemble_averages_and_other_labels_of_the_model_count():
    third = PixelModel("happy", "neutral", "sad")
    members = [(third, BOTH), (PixelModel("sad", "happy", "neutral"), BOTH)]
    official = average([predict_split(model, BOTH, "validation") for model, _ in members])
    assert official.label_set.names == ("happy", "sad", "neutral")
    (scores,) = score_plain_argmax(members, "validation", official).values()
    assert scores["n"] == 6
