"""Predicting a data set: labels are matched by name, images keep their order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pixel_model import SIZE, PixelModel

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.data.dataset import FaceDataset
from mien.data.protocols import ROW
from mien.evaluation import predict
from mien.evaluation.predict import predict_scores, predict_split


def make_dataset(labels: list[str], pixels: list[list[int]], classes: list[int], **changes: object) -> FaceDataset:
    images = np.zeros((len(pixels), SIZE, SIZE), dtype=np.uint8)
    for image, row in zip(images, pixels, strict=True):
        image[0, : len(row)] = row
    dataset = FaceDataset(
        name="drawn",
        images=images,
        labels=np.array(classes, dtype=np.int64),
        splits=np.full(len(pixels), "validation", dtype="<U10"),
        label_set=LabelSet.of(labels),
        paths=tuple(f"{i}.png" for i in range(len(pixels))),
    )
    return dataclasses.replace(dataset, **changes)


TWO = make_dataset(["happy", "sad"], [[255, 0], [0, 255]], [0, 1])


def test_columns_follow_the_data_sets_names() -> None:
    model = PixelModel("happy", "sad", "neutral")
    dataset = make_dataset(["neutral", "happy", "sad"], [[255, 0, 0], [0, 255, 0], [51, 51, 153]], [1, 2, 0])
    given = predict_split(model, dataset, "validation")
    np.testing.assert_allclose(given.probabilities, [[0, 1, 0], [0, 0, 1], [0.6, 0.2, 0.2]], atol=1e-6)
    assert given.probabilities.dtype == np.float32
    assert given.label_set == dataset.label_set
    assert given.labels.tolist() == [1, 2, 0]


def test_labels_the_data_set_lacks_are_dropped_and_the_rest_renormalized() -> None:
    dataset = make_dataset(["sad", "happy"], [[51, 153, 51], [0, 0, 255]], [0, 1])
    model = PixelModel("happy", "sad", "neutral")
    given = predict_split(model, dataset, "validation", labels_of_data=True)
    assert given.left_out == ("neutral",)
    # the second face is all "neutral", which this data set lacks: the remaining labels are equally probable
    np.testing.assert_allclose(given.probabilities, [[0.75, 0.25], [0.5, 0.5]], atol=1e-6)


def test_labels_the_data_set_lacks_follow_its_own() -> None:
    dataset = make_dataset(["sad", "happy"], [[51, 153, 51], [0, 0, 255]], [0, 1])
    given = predict_split(PixelModel("happy", "neutral", "sad"), dataset, "validation")
    assert (given.label_set.names, given.left_out) == (("sad", "happy", "neutral"), ())
    np.testing.assert_allclose(given.probabilities, [[0.2, 0.2, 0.6], [1, 0, 0]], atol=1e-6)


def test_a_missing_label_is_refused_before_the_work() -> None:
    model = PixelModel("happy", "sad")
    dataset = make_dataset(["happy", "contempt"], [[255, 0]], [0])
    with pytest.raises(DataError, match=r"lacks the labels contempt\. Its labels: happy, sad"):
        predict_split(model, dataset, "validation")
    assert model.batches == []


def test_origin_and_duplicates() -> None:
    dataset = make_dataset(
        ["happy", "sad"], [[255, 0], [9, 9], [255, 0]], [0, 1, 0],
        splits=np.array(["train", "test", "test"]), metadata={"subject": np.array(["KA", "KM", "YM"])},
    )  # fmt: skip
    given = predict_split(PixelModel("happy", "sad"), dataset, "test")
    assert (given.model, given.dataset, given.split) == ("pixels", "drawn", "test")
    assert given.fingerprint == dataset.split("test").fingerprint
    assert given.rows.tolist() == [1, 2]
    assert given.paths == ("1.png", "2.png")
    assert given.is_duplicate.tolist() == [False, True]
    assert given.metadata["subject"].tolist() == ["KM", "YM"]
    divided = dataclasses.replace(dataset, metadata={ROW: np.array(["5", "7", "9"])})
    assert predict_split(PixelModel("happy", "sad"), divided, "test").rows.tolist() == [7, 9]
    with pytest.raises(DataError, match="no split 'validation'"):
        predict_split(PixelModel("happy", "sad"), dataset, "validation")


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({}, ""),
        ({"recipe": {"training": {"selection": "last"}}}, "last"),
        ({"scores": {"selection": {"rule": "last epoch", "epoch": 3}}}, "last epoch"),
        ({"scores": {"selection": "best"}, "recipe": {"training": {"selection": "last"}}}, "best"),
    ],
)
def test_the_selection_rule_comes_from_the_card(card: dict[str, object], expected: str) -> None:
    assert predict_split(PixelModel("happy", "sad", **card), TWO, "validation").selection == expected


def test_scores_come_in_batches_and_in_the_models_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "BATCH_SIZE", 2)
    model = PixelModel("happy", "sad")
    done: list[int] = []
    dataset = make_dataset(["sad", "happy"], [[255, 0], [0, 255], [51, 204]], [0, 1, 0])
    scores = predict_scores(model, dataset, progress=done.append)
    np.testing.assert_allclose(scores.probabilities, [[1, 0], [0, 1], [0.2, 0.8]], atol=1e-6)
    assert scores.logits.shape == (3, 2)
    assert scores.reject.tolist() == [0, 0, 0]
    assert model.batches == done == [2, 1]


def test_views_are_averaged_and_images_can_be_changed() -> None:
    model = PixelModel("happy", "sad")
    flipped = predict_scores(model, TWO, views="flip")
    np.testing.assert_allclose(flipped.probabilities, [[0.5, 0], [0, 0.5]])
    dark = predict_scores(model, TWO, change=lambda image, i: image // (i + 1))
    np.testing.assert_allclose(dark.probabilities, [[1, 0], [0, 127 / 255]], atol=1e-6)
