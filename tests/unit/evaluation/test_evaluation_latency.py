"""Latency: calls take turns, the record is complete, and its numbers are consistent."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.evaluation.latency import measure_latency, time_in_turns


def test_calls_take_turns() -> None:
    order: list[str] = []
    (times,) = time_in_turns([lambda: order.append("a"), lambda: order.append("b")], rounds=3, turn=2)
    assert "".join(order) == "aaabbb" + "aabb", "each turn: one call that is not timed, then the timed ones"
    assert times.shape == (2, 3)
    assert (times >= 0).all()


def test_times_are_milliseconds() -> None:
    assert time_in_turns([lambda: time.sleep(0.02)], rounds=3).min() >= 20


def test_the_record(tiny_model: Path) -> None:
    measured = measure_latency(str(tiny_model), tiny_model.read_bytes(), rounds=3)
    model, reference = measured["model"], measured["reference"]
    assert model["network"] == reference["network"]
    assert reference["p90_ms"] >= reference["median_ms"] > 0
    assert measured["ratio"] == pytest.approx(reference["median_ms"] / model["median_ms"], abs=0.01)
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", json.dumps(measured))
    alone = measure_latency(str(tiny_model), None, rounds=1)
    assert (alone["reference"], alone["ratio"]) == (None, None)


@pytest.mark.parametrize("rounds", [0, 10**9])
def test_rounds_out_of_range_are_refused(rounds: int) -> None:
    with pytest.raises(MienError, match="given; expected 1"):
        measure_latency("default", None, rounds=rounds)
