"""`mien bench latency` and `mien bench train`: print ratios, or one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mien.apps.bench import app
from mien.evaluation import latency, memory
from mien.export import reference
from mien.recipes import Recipe
from mien.training import throughput

FACE, IMAGE = [1, 1, 48, 48], [1, 3, 224, 224]
TIMING = {"network": "[b]small", "input": FACE, "median_ms": 1.5, "p90_ms": 2.0}
LATENCY = {
    "model": TIMING,
    "reference": {"network": "ResNet-18", "input": IMAGE, "median_ms": 30.0, "p90_ms": 33.0},
    "ratio": 20.0,
    "cpu": "a processor",
    "onnxruntime": "1.0",
}
MEMORY = {
    "models": [{"network": "[b]small", "input": FACE, "mib": 37.54, "ratio": 5.391}],
    "reference": {"network": "ResNet-18", "input": IMAGE, "mib": 202.4, "ratio": 1.0},
    "system": "Plan 9 mips",
    "onnxruntime": "1.0",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Replace the measurements; the list holds what they were asked for."""
    calls: list[tuple[Any, ...]] = []

    def measure_latency(*words: Any) -> dict[str, Any]:
        calls.append(words)
        return LATENCY if words[1] else {**LATENCY, "reference": None, "ratio": None}

    def measure_memory(*words: Any) -> dict[str, Any]:
        calls.append(words)
        return MEMORY

    monkeypatch.setattr(latency, "measure_latency", measure_latency)
    monkeypatch.setattr(memory, "measure_memory", measure_memory)
    monkeypatch.setattr(reference, "reference_onnx", lambda: b"ResNet-18")
    return calls


def test_latency(asked: list[tuple[Any, ...]]) -> None:
    result = CliRunner().invoke(app, ["latency", "--model", "x.onnx", "--rounds", "7", "--threads", "2"])
    assert result.exit_code == 0, result.output
    CliRunner().invoke(app, ["latency"])
    assert asked == [("x.onnx", b"ResNet-18", 7, 2), ("default", b"ResNet-18", 100, 1)]
    for text in ("[b]small", "1 x 48 x 48", "1.50", "30.00", "33.00", "ratio: 20.0", "a processor"):
        assert text in result.output


def test_memory(asked: list[tuple[Any, ...]]) -> None:
    result = CliRunner().invoke(app, ["memory"], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert asked == [(["default"], b"ResNet-18")]
    for text in ("[b]small", "1 x 48 x 48", "37.5", "5.39", "202.4", "Plan 9 mips"):
        assert text in result.output


@pytest.mark.parametrize(("words", "measured"), [(["latency"], LATENCY), (["memory", "a", "b.onnx"], MEMORY)])
@pytest.mark.usefixtures("asked")
def test_json_and_record_are_the_same(words: list[str], measured: dict[str, Any], tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    result = CliRunner().invoke(app, [*words, "--json", "--out", str(record)])
    assert json.loads(result.stdout) == measured == json.loads(record.read_text())


def test_without_its_extra_the_model_is_measured_alone(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mien.export.reference", None)
    result = CliRunner().invoke(app, ["latency"])
    assert result.exit_code == 0, result.output
    assert asked[0][1] is None
    assert "The ResNet-18 reference requires the extra 'export': pip install " in result.stderr
    assert "ratio" not in result.stdout


THROUGHPUT = {
    "hardware": {"processor": "a processor", "accelerator": "cpu", "torch": "9.9"},
    "steps": 4,
    "data": "random pixels",
    "recipes": [
        {
            "recipe": name,
            "input": (1, 48, 48),
            "batch_size": 32,
            "precision": "32-true",
            "images_per_second": speed,
            "ratio": speed / 1000,
            "flops_per_image": 5e8,
            "peak_flops": 2e12,
            "share_of_peak": 0.25,
        }
        for name, speed in (("default/fer2013", 1000.0), ("resnet18/fer2013", 500.0))
    ],
}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], list[int], int, Path | None]]:
    """Replace the measurement; the list holds what it was asked for."""
    calls: list[tuple[list[str], list[int], int, Path | None]] = []

    def measure(recipes: list[Recipe], steps: int, data: Path | None) -> dict[str, Any]:
        calls.append(([r.name for r in recipes], [r.training.batch_size for r in recipes], steps, data))
        return THROUGHPUT

    monkeypatch.setattr(throughput, "measure_throughput", measure)
    return calls


def test_training_table(trained: list[Any]) -> None:
    words = ["train", "default", "resnet18/fer2013", "--steps", "4", "--set", "training.batch_size=32", "--data", "x"]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert trained == [(["default/fer2013", "resnet18/fer2013"], [32, 32], 4, Path("x"))]
    for text in ("default/fer2013", "1x48x48", "1,000.0", "0.50", "25.0 %", "2.00 TFLOP/s in 32-true", "a processor"):
        assert text in result.output
