from __future__ import annotations

import dataclasses
import json

import pytest

from mien.core.card import METADATA_KEY, CropSpec, InputSpec, ModelCard
from mien.core.errors import ModelError
from mien.core.expressions import FER2013_LABELS


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        name="a",
        network="resnet",
        labels=FER2013_LABELS,
        input=InputSpec(64, 3, 0.4, 0.2),
        crop=CropSpec(1.2, 0.1, -0.1),
        recipe={"epochs": 3},
        scores={"accuracy": 0.5},
        reject_threshold=0.6,
        temperature=1.5,
        precision="int8",
        conversion={"accuracy_loss": 0.001},
    )


def test_round_trip(card: ModelCard) -> None:
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_metadata({METADATA_KEY: card.to_json()}, "a.onnx") == card
    assert ModelCard.from_json(card.to_json().replace('"conversion"', '"lowered"')) == card, "its earlier name"


def test_rejecting_takes_one_more_output(card: ModelCard) -> None:
    assert card.outputs == 8
    assert dataclasses.replace(card, reject_threshold=None).outputs == 7


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"format": 99}'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: the model card is not"):
        ModelCard.from_json(text, "a.onnx")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", ["happy", "happy"]),
        ("labels", ["happy", "unsure"]),
        ("labels", None),
        ("input", {"size": 48, "colour": 1}),
        ("input", {"size": 5}),
        ("input", {"channels": 2}),
        ("input", {"std": 0}),
        ("crop", {"scale": 50}),
        ("surplus", 1),
        ("precision", "int4"),
    ],
)
def test_fields_that_do_not_fit_are_refused(card: ModelCard, field: str, value: object) -> None:
    fields = json.loads(card.to_json()) | {field: value}
    with pytest.raises(ModelError, match="does not fit"):
        ModelCard.from_json(json.dumps(fields))


def test_a_file_without_card_is_refused() -> None:
    with pytest.raises(ModelError, match=r"b\.onnx has no mien model card"):
        ModelCard.from_metadata({}, "b.onnx")
