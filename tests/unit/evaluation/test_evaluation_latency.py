"""Latency: turns are taken, the record is complete and the numbers fit each other."""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.errors import MienError
from mien.core.expressions import FER2013_LABELS
from mien.core.hardware import processor_name
from mien.evaluation.latency import measure_latency, time_in_turns
from mien.inference.model import OnnxModel


class SleepingModel:
    """Stands in for a network: takes two milliseconds a face."""

    card = ModelCard("sleeper", "none", FER2013_LABELS, InputSpec(48, 1), CropSpec())

    def predict(self, faces: np.ndarray) -> None:
        assert faces.shape == (1, 1, 48, 48)
        time.sleep(0.002)


def test_turns_are_taken() -> None:
    order: list[str] = []
    times = time_in_turns([lambda: order.append("a"), lambda: order.append("b")], rounds=3, turn=2)
    assert "".join(order) == "aaabbb" + "aabb", "each turn: one call that is not timed, then the timed ones"
    assert times.shape == (2, 3)
    assert (times >= 0).all()


def test_times_are_milliseconds() -> None:
    times = time_in_turns([lambda: time.sleep(0.02), lambda: None], rounds=3)
    assert times[0].min() >= 20
    assert np.median(times[1]) < 10


def test_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxModel, "load", lambda *_, **__: SleepingModel())
    measured = measure_latency("sleeper", rounds=3)
    assert measured.model.network == "sleeper"
    assert measured.model.input == (1, 1, 48, 48)
    assert measured.model.median_ms >= 2
    assert measured.reference.input == (1, 3, 224, 224)
    assert "ResNet-18" in measured.reference.network
    assert measured.ratio == pytest.approx(measured.reference.median_ms / measured.model.median_ms, abs=0.01)
    assert measured.reference.p90_ms >= measured.reference.median_ms
    record = measured.to_json()
    assert set(record) == {"model", "reference", "ratio", "rounds", "threads", "cpu", "onnxruntime"}
    text = json.dumps(record)
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", text)


@pytest.mark.parametrize("options", [{"rounds": 0}, {"rounds": 10**9}, {"threads": 0}])
def test_numbers_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(MienError, match="given; expected 1"):
        measure_latency("default", **options)


def test_the_processor_has_a_name() -> None:
    assert processor_name().strip()
