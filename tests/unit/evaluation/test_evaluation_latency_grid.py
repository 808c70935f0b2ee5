"""The grid of latencies: every case is there, ratios fit the times, and stages do what they say."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest
from small_convolutions import small_network

from mien.core.errors import MienError
from mien.evaluation import latency_grid
from mien.evaluation.latency_grid import FACE, measure_grid


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("grid") / "small.onnx"
    path.write_bytes(small_network())
    return str(path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks in place of the references, and no YuNet."""
    monkeypatch.setattr(latency_grid, "resnet18_onnx", small_network)
    monkeypatch.setattr(latency_grid, "mobilenet_v2_onnx", lambda: small_network(1))
    monkeypatch.setattr(latency_grid, "find_weights", lambda: None)
    monkeypatch.setattr(latency_grid, "BATCHES", (1, 2))


@pytest.mark.usefixtures("quick")
def test_every_case_is_measured(model: str) -> None:
    threads = cv2.getNumThreads()
    measured = measure_grid([model, model], rounds=2)
    assert cv2.getNumThreads() == threads
    cases = [(row.threads, row.batch) for row in measured.networks]
    assert cases == [case for case in ((1, 1), (1, 2), (2, 1), (2, 2)) for _ in range(4)]
    for row in measured.networks:
        assert row.p10_ms <= row.median_ms <= row.p90_ms
        assert row.precision == "float32"
    stages = [(stage.threads, stage.stage) for stage in measured.stages]
    named = ["detect (haar)", "crop", "network", "end to end (haar)"]
    assert stages == [(threads, name) for threads in (1, 2) for name in named]
    text = json.dumps(measured.to_json())
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", text)


@pytest.mark.usefixtures("quick")
def test_ratios_are_those_of_the_medians(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(calls: list[object], rounds: int, clocks: object) -> np.ndarray:
        work = np.arange(1, len(calls) + 1)[:, None] * np.ones(rounds)
        return np.stack([work + 10, work])

    monkeypatch.setattr(latency_grid, "measure_in_turns", pretend)
    monkeypatch.setattr(latency_grid, "mobilenet_v2_onnx", lambda: small_network().replace(b'"small"', b'"other"'))
    first = measure_grid([model], rounds=3).networks
    assert [row.median_ms for row in first[:3]] == [11, 12, 13]
    assert [row.processor_ms for row in first[:3]] == [1, 2, 3], "waiting is no work"
    assert first[0].faster_than == {"small": 2, "other": 3}
    assert first[1].faster_than == {"small": 1, "other": 1.5}


@pytest.mark.usefixtures("quick")
def test_end_to_end_finds_cuts_and_scores(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in ("detect", "crop", "score"):
        whole = getattr(latency_grid.Recognizer, name)

        def watch(self: object, *words: object, name: str = name, whole: object = whole) -> object:
            seen.append(name)
            return whole(self, *words)

        monkeypatch.setattr(latency_grid.Recognizer, name, watch)
    timed: list[str] = []

    def once(calls: list[object], rounds: int) -> np.ndarray:
        seen.clear()
        calls[-1]()
        timed.append("+".join(seen))
        return np.ones((len(calls), rounds))

    monkeypatch.setattr(latency_grid, "time_in_turns", once)
    measure_grid([model], rounds=1)
    assert "detect+crop+score" in timed


def test_the_picture_has_a_face_in_the_box() -> None:
    picture = latency_grid._draw_picture()
    assert picture.shape == (480, 640, 3)
    left, top = int(FACE.x), int(FACE.y)
    inside = picture[top : top + int(FACE.height), left : left + int(FACE.width)]
    assert inside.std() > 30
    assert picture[:, :200].std(axis=1).max() == 0


def test_numbers_out_of_range_are_refused(model: str) -> None:
    with pytest.raises(MienError, match="0 rounds given"):
        measure_grid([model], rounds=0)
