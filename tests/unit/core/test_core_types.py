from __future__ import annotations

import json

import pytest

from mien.core.types import Box, Face
from mien.inference.results import ImageResult


def face(label: str) -> Face:
    return Face(Box(1.4, 2.6, 3.5, 4.0), 0.91239, label, {"happy": 0.75, "sad": 0.25}, roll=-12.345)


def test_box() -> None:
    box = Box(1, 2, 4, 6)
    assert box.centre == (3, 5)
    assert box.scaled(2) == Box(2, 4, 8, 12)
    assert Box(1.4, 2.6, 3.5, 4.0).rounded() == (1, 3, 4, 4)


def test_shares_sum_to_one_or_are_all_zero() -> None:
    result = ImageResult("a", 9, 9, [face("happy"), face("happy"), face("sad")], ("happy", "sad"))
    assert result.shares == pytest.approx({"happy": 2 / 3, "sad": 1 / 3, "unsure": 0})
    assert ImageResult("a", 9, 9, [], ("happy", "sad")).shares == {"happy": 0, "sad": 0, "unsure": 0}


def test_json_layout() -> None:
    result = ImageResult("a.jpg", 8, 9, [face("happy")], ("happy", "sad"))
    assert json.loads(json.dumps(result.to_json())) == {
        "source": "a.jpg",
        "image_width": 8,
        "image_height": 9,
        "faces": [
            {
                "face": 1,
                "x": 1.4,
                "y": 2.6,
                "width": 3.5,
                "height": 4.0,
                "roll": -12.3,
                "score": 0.9124,
                "label": "happy",
                "confidence": 0.75,
                "unsure": False,
                "probabilities": {"happy": 0.75, "sad": 0.25},
            }
        ],
        "shares": {"happy": 1, "sad": 0, "unsure": 0},
    }
