"""The costs of networks: counts are those of the networks, ratios fit the times."""

from __future__ import annotations

import json
import re

import pytest

from lab.benchmarks import efficiency
from lab.benchmarks.efficiency import CASES, Case, measure_costs
from mien.recipes import load_recipe

SMALL = (Case("despam", 32), Case("ldcnn", 32, 1, recipe="sldcnn/fer2013", ablation="ldcnn"))


def test_costs_are_those_of_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(([2.0, 8.0], [100.0, 50.0]))
    monkeypatch.setattr(efficiency, "_time", lambda calls, rounds: [call() for call in calls] and next(times))
    monkeypatch.setattr(efficiency, "YOLO_INPUT", 64)
    record = measure_costs(SMALL, rounds=1, steps=1)
    first, second = record["networks"]
    assert (first["parameters"], first["parameters_folded"]) == (1_312_339, 1_279_439)
    assert second["parameters"] == 1_772_611
    assert second["input"] == (1, 32, 32)
    assert first["gmacs_640"] == pytest.approx(4 * first["gmacs"], rel=0.02)
    assert (second["latency_ms"], second["latency_ratio"]) == (8.0, 0.25)
    assert (second["step_ms"], second["epoch_ratio"]) == (50.0, 2.0)
    assert second["epoch_seconds"] == pytest.approx(28709 / 4 * 0.05, abs=0.1)
    assert second["weights_mb"] > 4 * 1.7
    assert second["memory_mib"] > 0
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", json.dumps(record))


@pytest.mark.parametrize("case", [case for case in CASES if case.recipe], ids=lambda case: case.network)
def test_recipes_of_the_cases_have_these_networks(case: Case) -> None:
    settings = load_recipe(case.recipe, ablation=case.ablation or None).network
    assert (settings.channels, settings.input_size) == (case.channels, case.size)
