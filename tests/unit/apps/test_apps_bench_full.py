"""`mien bench latency --full`: one table by threads and batch, one of stages, or one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mien.apps.bench import app
from mien.core.errors import MienError
from mien.evaluation import latency_grid
from mien.evaluation.latency_grid import BatchTiming, LatencyGrid, StageTiming

MEASURED = LatencyGrid(
    networks=(
        BatchTiming(
            "[b]small", "int8", 2, 8, 1.25, 1.0, 1.5, 1.125, {"ResNet-18 (untrained)": 30.5, "MobileNetV2 (u)": 7.0}
        ),
    ),
    stages=(StageTiming("crop", 2, 0.25, 0.125, 0.5),),
    rounds=7,
    cpu="a processor",
    onnxruntime="1.0",
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """Replace the measurement; the list holds what it was asked for."""
    calls: list[tuple[list[str], int]] = []

    def measure(models: list[str], rounds: int) -> LatencyGrid:
        calls.append((models, rounds))
        return MEASURED

    monkeypatch.setattr(latency_grid, "measure_grid", measure)
    return calls


def test_tables(asked: list[tuple[list[str], int]]) -> None:
    words = ["latency", "--full", "--model", "a.onnx", "--beside", "b.onnx", "--beside", "c.onnx", "--rounds", "7"]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    assert asked == [(["a.onnx", "b.onnx", "c.onnx"], 7)]
    for text in ("[b]small", "int8", "1.25", "30.50", "x ResNet-18", "x MobileNetV2", "crop", "0.25", "a processor"):
        assert text in result.output


def test_record(asked: list[tuple[list[str], int]], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["latency", "--full", "--json", "--out", str(tmp_path / "x.json")])
    printed = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "x.json").read_text())
    assert printed["networks"][0]["faster_than"]["ResNet-18 (untrained)"] == 30.5
    assert asked == [(["default"], 100)]


def test_beside_needs_full(asked: list[tuple[list[str], int]]) -> None:
    result = CliRunner().invoke(app, ["latency", "--beside", "x.onnx"])
    assert isinstance(result.exception, MienError)
    assert "--full" in str(result.exception)
    assert asked == []
