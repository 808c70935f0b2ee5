"""The grid of latencies: every case is there, and ratios fit the times."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_convolutions import small_network

from lab.benchmarks import latency_grid
from lab.benchmarks.latency_grid import measure_grid
from mien.inference.detectors.haar import Haar


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small network; small ones in place of the references, too, and one detector."""
    small = {"resnet18": small_network(), "mobilenet_v2": small_network(1).replace(b'"small"', b'"other"')}
    monkeypatch.setattr(latency_grid, "reference_onnx", small.__getitem__)
    monkeypatch.setattr(latency_grid, "available_detectors", lambda: {"haar": Haar()})
    monkeypatch.setattr(latency_grid, "BATCHES", (1, 2))
    path = tmp_path / "small.onnx"
    path.write_bytes(small_network())
    return str(path)


def test_every_case_is_measured(model: str) -> None:
    threads = cv2.getNumThreads()
    measured = measure_grid([model, model], rounds=2)
    assert cv2.getNumThreads() == threads
    cases = [(row.threads, row.batch) for row in measured.networks]
    assert cases == [case for case in ((1, 1), (1, 2), (2, 1), (2, 2)) for _ in range(4)]
    assert all(row.p10_ms <= row.median_ms <= row.p90_ms for row in measured.networks)
    stages = [(stage.threads, stage.stage) for stage in measured.stages]
    named = ["detect (haar)", "crop", "network", "end to end (haar)"]
    assert stages == [(threads, name) for threads in (1, 2) for name in named]
    text = json.dumps(asdict(measured))
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", text)


def test_ratios_are_those_of_the_processor_times(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(calls: list[object], rounds: int, clocks: tuple[object, ...] = (None,)) -> np.ndarray:
        work = np.arange(1, len(calls) + 1)[:, None] * np.ones(rounds)
        return np.stack([work + 10, work])[: len(clocks)]

    monkeypatch.setattr(latency_grid, "time_in_turns", pretend)
    first = measure_grid([model], rounds=3).networks
    assert [row.median_ms for row in first[:3]] == [11, 12, 13]
    assert [row.processor_ms for row in first[:3]] == [1, 2, 3], "waiting is not work"
    assert first[0].faster_than == {"small": 2, "other": 3}
    assert first[1].faster_than == {"small": 1, "other": 1.5}
