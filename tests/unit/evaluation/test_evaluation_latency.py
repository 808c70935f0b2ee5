"""Latency: calls take turns, the record is complete, and its numbers are consistent."""

from __future__ import annotations

import json
import re
import time
from types import SimpleNamespace

import pytest

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.errors import MienError
from mien.core.expressions import FER2013_LABELS
from mien.evaluation import latency
from mien.evaluation.latency import measure_latency, time_in_turns


def test_calls_take_turns() -> None:
    order: list[str] = []
    (times,) = time_in_turns([lambda: order.append("a"), lambda: order.append("b")], rounds=3, turn=2)
    assert "".join(order) == "aaabbb" + "aabb", "each turn: one call that is not timed, then the timed ones"
    assert times.shape == (2, 3)
    assert (times >= 0).all()


def test_times_are_milliseconds() -> None:
    assert time_in_turns([lambda: time.sleep(0.02)], rounds=3).min() >= 20


def test_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    card = ModelCard("sleeper", "none", FER2013_LABELS, InputSpec(48, 1), CropSpec())
    sleeper = SimpleNamespace(card=card, predict=lambda faces: time.sleep(0.002))
    monkeypatch.setattr(latency.OnnxModel, "load", lambda *_, **__: sleeper)
    measured = measure_latency("sleeper", rounds=3)
    assert (measured.model.network, measured.model.input) == ("sleeper", (1, 1, 48, 48))
    assert measured.model.median_ms >= 2
    assert measured.reference.input == (1, 3, 224, 224)
    assert "ResNet-18" in measured.reference.network
    assert measured.ratio == pytest.approx(measured.reference.median_ms / measured.model.median_ms, abs=0.01)
    assert measured.reference.p90_ms >= measured.reference.median_ms
    record = measured.to_json()
    assert set(record) == {"model", "reference", "ratio", "rounds", "threads", "cpu", "onnxruntime"}
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", json.dumps(record))


@pytest.mark.parametrize("options", [{"rounds": 0}, {"rounds": 10**9}, {"threads": 0}])
def test_numbers_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(MienError, match="given; expected 1"):
        measure_latency("default", **options)
