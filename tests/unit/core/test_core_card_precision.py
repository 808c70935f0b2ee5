"""The card's later fields: read when they are there, written only when they say something."""

from __future__ import annotations

import dataclasses
import json

import pytest
from tiny_model import tiny_card

from mien.core.card import ModelCard
from mien.core.errors import ModelError


def test_cards_of_earlier_versions_are_of_32_bits() -> None:
    written = json.loads(tiny_card().to_json())
    assert not {"precision", "conversion"} & written.keys(), "earlier versions read files of 32 bits still"
    card = ModelCard.from_json(json.dumps(written))
    assert (card.precision, card.conversion) == ("float32", {})


def test_round_trip() -> None:
    card = dataclasses.replace(tiny_card(), precision="int8", conversion={"accuracy_loss": 0.001})
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_json(card.to_json().replace('"conversion"', '"lowered"')) == card, "the name up to 0.9"


def test_an_unknown_precision_is_refused() -> None:
    written = json.loads(tiny_card().to_json()) | {"precision": "int4"}
    with pytest.raises(ModelError, match="Precision is 'int4'; expected one of float32, float16, int8"):
        ModelCard.from_json(json.dumps(written), "x.onnx")
