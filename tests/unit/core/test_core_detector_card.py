from __future__ import annotations

import json

import pytest

from mien.core.detector_card import METADATA_KEY, DetectorCard
from mien.core.errors import ModelError


@pytest.fixture
def card() -> DetectorCard:
    return DetectorCard(
        name="faces",
        slope=1.5,
        offset=-0.4,
        threshold=0.6,
        recipe={"epochs": 3},
        scores={"found": 0.9},
        version="0.1.0",
    )


def test_round_trip(card: DetectorCard) -> None:
    assert DetectorCard.from_json(card.to_json()) == card
    assert DetectorCard.from_metadata({METADATA_KEY: card.to_json()}, "a.onnx") == card


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"format": 99}'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: the detector's card is not"):
        DetectorCard.from_json(text, "a.onnx")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slope", 0),
        ("slope", "steep"),
        ("slope", float("nan")),
        ("offset", float("inf")),
        ("threshold", 0),
        ("threshold", 1.2),
        ("stride", 4),
        ("sides", [30, 54]),
        ("sides", [14]),
        ("sides", None),
        ("sides", [0.1, 54]),
        ("smallest_side", 60),
        ("surplus", 1),
    ],
)
def test_fields_that_do_not_fit_are_refused_in_one_line(card: DetectorCard, field: str, value: object) -> None:
    fields = json.loads(card.to_json()) | {field: value}
    with pytest.raises(ModelError, match=r"^a\.onnx: the detector's card does not fit \(.*\); export .* again\.$"):
        DetectorCard.from_json(json.dumps(fields), "a.onnx")


def test_a_missing_field_is_named(card: DetectorCard) -> None:
    fields = json.loads(card.to_json())
    del fields["threshold"]
    with pytest.raises(ModelError, match="'threshold'"):
        DetectorCard.from_json(json.dumps(fields))


def test_a_file_without_card_is_refused() -> None:
    with pytest.raises(ModelError, match=r"b\.onnx has no card of a mien face detector"):
        DetectorCard.from_metadata({}, "b.onnx")
