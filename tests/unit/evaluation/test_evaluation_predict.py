"""Predicting a data set: labels meet by name, images in order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.data.dataset import FaceDataset
from mien.evaluation.predict import predict_dataset, predict_scores
from mien.inference.model import Scores

SIZE = 8


class PixelModel:
    """Stands in for a network: the first pixels of a face are the probabilities, times 255."""

    def __init__(self, *labels: str, **card: object) -> None:
        spec = InputSpec(size=SIZE, channels=1, mean=0.0, std=1.0)
        self.card = ModelCard("pixels", "none", LabelSet.of(labels), spec, CropSpec(), **card)
        self.batches: list[int] = []

    def predict(self, faces: np.ndarray) -> Scores:
        self.batches.append(len(faces))
        probabilities = faces[:, 0, 0, : len(self.card.labels)]
        return Scores(np.log(np.maximum(probabilities, 1e-9)), probabilities, faces[:, 0, 1, 0])


def make_dataset(
    labels: list[str], pixels: list[list[int]], classes: list[int], split: str = "validation"
) -> FaceDataset:
    images = np.zeros((len(pixels), SIZE, SIZE), dtype=np.uint8)
    for image, row in zip(images, pixels, strict=True):
        image[0, : len(row)] = row
    return FaceDataset(
        name="drawn",
        images=images,
        labels=np.array(classes, dtype=np.int64),
        splits=np.full(len(pixels), split, dtype="<U10"),
        label_set=LabelSet.of(labels),
        paths=tuple(f"{i}.png" for i in range(len(pixels))),
    )


def test_columns_follow_the_data_sets_names() -> None:
    model = PixelModel("happy", "sad", "neutral")
    dataset = make_dataset(["neutral", "happy", "sad"], [[255, 0, 0], [0, 255, 0], [51, 51, 153]], [1, 2, 0])
    given = predict_dataset(model, dataset, np.zeros(3, bool))
    np.testing.assert_allclose(given.probabilities, [[0, 1, 0], [0, 0, 1], [0.6, 0.2, 0.2]], atol=1e-6)
    assert given.probabilities.dtype == np.float32
    assert given.label_set == dataset.label_set
    assert given.labels.tolist() == [1, 2, 0]


def test_labels_the_data_set_lacks_are_dropped_and_the_rest_renormalised() -> None:
    model = PixelModel("happy", "sad", "neutral")
    dataset = make_dataset(["sad", "happy"], [[51, 153, 51], [0, 0, 255]], [0, 1])
    given = predict_dataset(model, dataset, np.zeros(2, bool))
    # the second face is all "neutral", which cannot be said here: nothing is left to prefer
    np.testing.assert_allclose(given.probabilities, [[0.75, 0.25], [0.5, 0.5]], atol=1e-6)


def test_a_label_the_model_lacks_is_refused() -> None:
    dataset = make_dataset(["happy", "contempt"], [[255, 0]], [0])
    with pytest.raises(DataError, match=r"does not know contempt\. Its labels: happy, sad") as caught:
        predict_dataset(PixelModel("happy", "sad"), dataset, np.zeros(1, bool))
    assert "\n" not in str(caught.value)


def test_metadata_go_along() -> None:
    dataset = make_dataset(["happy", "sad"], [[255, 0], [0, 255]], [0, 1])
    dataset = dataclasses.replace(dataset, metadata={"subject": np.array(["KA", "KM"])})
    given = predict_dataset(PixelModel("happy", "sad"), dataset, np.zeros(2, bool))
    assert given.metadata["subject"].tolist() == ["KA", "KM"]


def test_batches_and_progress() -> None:
    model = PixelModel("happy", "sad")
    pixels = [[255, 0] if i % 3 else [0, 255] for i in range(10)]
    dataset = make_dataset(["happy", "sad"], pixels, [0] * 10)
    done: list[int] = []
    given = predict_dataset(model, dataset, np.zeros(10, bool), batch_size=4, progress=done.append)
    assert model.batches == done == [4, 4, 2]
    assert given.probabilities[:, 0].tolist() == [0, 1, 1, 0, 1, 1, 0, 1, 1, 0]


def test_where_it_comes_from() -> None:
    model = PixelModel("happy", "sad")
    dataset = make_dataset(["happy", "sad"], [[255, 0], [0, 255]], [0, 1], "test")
    given = predict_dataset(model, dataset, np.array([True, False]), rows=np.array([7, 9]))
    assert (given.model, given.dataset, given.split) == ("pixels", "drawn", "test")
    assert given.fingerprint == dataset.fingerprint
    assert given.rows.tolist() == [7, 9]
    assert given.paths == ("0.png", "1.png")
    assert given.is_duplicate.tolist() == [True, False]
    counted = predict_dataset(model, dataset, np.zeros(2, bool))
    assert counted.rows.tolist() == [0, 1]


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
    dataset = make_dataset(["happy", "sad"], [[255, 0]], [0])
    given = predict_dataset(PixelModel("happy", "sad", **card), dataset, np.zeros(1, bool))
    assert given.selection == expected


def test_a_model_that_gives_nan_is_refused() -> None:
    model = PixelModel("happy", "sad")
    object.__setattr__(model, "predict", lambda faces: Scores(*[np.full((len(faces), 2), np.nan, np.float32)] * 3))
    with pytest.raises(DataError, match="NaN"):
        predict_dataset(model, make_dataset(["happy", "sad"], [[1, 2]], [0]), np.zeros(1, bool))


def test_mixed_splits_are_refused() -> None:
    dataset = make_dataset(["happy", "sad"], [[255, 0], [0, 255]], [0, 1])
    mixed = dataclasses.replace(dataset, splits=np.array(["train", "test"]))
    with pytest.raises(DataError, match="train and test"):
        predict_dataset(PixelModel("happy", "sad"), mixed, np.zeros(2, bool))


def test_raw_scores_keep_the_models_order() -> None:
    dataset = make_dataset(["sad", "happy"], [[255, 0], [0, 255], [51, 204]], [0, 1, 0])
    raw = predict_scores(PixelModel("happy", "sad"), dataset, batch_size=2)
    np.testing.assert_allclose(raw.probabilities, [[1, 0], [0, 1], [0.2, 0.8]], atol=1e-6)
    assert raw.logits.shape == (3, 2)
    assert raw.reject.tolist() == [0, 0, 0]


def test_no_images_and_no_batch_are_refused() -> None:
    dataset = make_dataset(["happy", "sad"], [[255, 0]], [0])
    model = PixelModel("happy", "sad")
    with pytest.raises(DataError, match="no images"):
        predict_scores(model, dataset.subset(np.zeros(1, bool)))
    with pytest.raises(DataError, match="Batch size 0"):
        predict_scores(model, dataset, batch_size=0)
