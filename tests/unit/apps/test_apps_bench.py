"""`mien bench latency` and `mien bench train`: print ratios, or one JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import mien
from mien.apps.bench import app
from mien.core.errors import MienError
from mien.evaluation import latency, memory
from mien.evaluation.latency import Latency, Timing
from mien.evaluation.memory import Memory, MemoryUse
from mien.recipes import Recipe
from mien.training import throughput

MEASURED = Latency(
    model=Timing("small", (1, 1, 48, 48), 1.5, 2.0),
    reference=Timing("ResNet-18", (1, 3, 224, 224), 30.0, 33.0),
    ratio=20.0,
    rounds=7,
    threads=2,
    cpu="a processor",
    onnxruntime="1.0",
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Replace the measurement; the list holds what it was asked for."""
    calls: list[tuple[str, int, int]] = []

    def measure(model: str, rounds: int, threads: int) -> Latency:
        calls.append((model, rounds, threads))
        return MEASURED

    monkeypatch.setattr(latency, "measure_latency", measure)
    return calls


def test_table(asked: list[tuple[str, int, int]]) -> None:
    result = CliRunner().invoke(app, ["latency", "--model", "x.onnx", "--rounds", "7", "--threads", "2"])
    assert result.exit_code == 0, result.output
    assert asked == [("x.onnx", 7, 2)]
    for text in ("small", "1 x 48 x 48", "1.50", "30.00", "33.00", "ratio: 20.0", "a processor"):
        assert text in result.output


def test_defaults(asked: list[tuple[str, int, int]]) -> None:
    CliRunner().invoke(app, ["latency"])
    assert asked == [("default", 100, 1)]


def test_json_and_record_are_the_same(asked: list[tuple[str, int, int]], tmp_path: Path) -> None:
    record = tmp_path / "latency.json"
    result = CliRunner().invoke(app, ["latency", "--json", "--out", str(record)])
    printed = json.loads(result.stdout)
    assert printed["ratio"] == 20
    assert printed["model"] == {"network": "small", "input": [1, 1, 48, 48], "median_ms": 1.5, "p90_ms": 2}
    assert json.loads(record.read_text()) == printed
    assert len(asked) == 1


def test_errors_propagate() -> None:
    result = CliRunner().invoke(app, ["latency", "--model", "none.onnx", "--rounds", "1"])
    assert isinstance(result.exception, MienError)


def test_memory_table_and_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def measure(models: list[str]) -> Memory:
        asked.append(models)
        small = MemoryUse("[b]small", (1, 1, 48, 48), 37.54, 5.391)
        return Memory((small,), MemoryUse("ResNet-18", (1, 3, 224, 224), 202.4, 1.0), "Plan 9 mips", "1.0")

    monkeypatch.setattr(memory, "measure_memory", measure)
    result = CliRunner().invoke(app, ["memory"], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    for text in ("[b]small", "1 x 48 x 48", "37.5", "5.39", "202.4", "Plan 9 mips"):
        assert text in result.output
    record = tmp_path / "memory.json"
    result = CliRunner().invoke(app, ["memory", "a", "b.onnx", "--json", "--out", str(record)])
    assert json.loads(record.read_text()) == json.loads(result.stdout)
    assert json.loads(result.stdout)["models"][0]["mib"] == 37.54
    assert asked == [["default"], ["a", "b.onnx"]]


@pytest.mark.usefixtures("asked")
def test_a_record_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["latency", "--out", str(tmp_path / "missing" / "x.json")])
    assert isinstance(result.exception, MienError)
    assert "Cannot write" in str(result.exception)


SHIPPED = str(Path(mien.__file__).parent / "assets" / "default.json")
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


def test_training_defaults_to_the_default_recipe(trained: list[Any]) -> None:
    CliRunner().invoke(app, ["train"])
    assert trained == [(["default/fer2013"], [128], 50, None)]


def test_times_of_records_alone_time_nothing(trained: list[Any]) -> None:
    result = CliRunner().invoke(app, ["train", "--record", SHIPPED, "--record", SHIPPED], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert trained == []
    assert "65 %" in result.output
    assert result.output.count("default/fer2013-64px-distilled") == 2


def test_training_json(trained: list[Any]) -> None:
    result = CliRunner().invoke(app, ["train", "default", "--record", SHIPPED, "--json"])
    printed = json.loads(result.stdout)
    assert printed["recipes"][1]["images_per_second"] == 500
    assert printed["records"][0]["name"] == "default/fer2013-64px-distilled"


def test_unknown_recipe() -> None:
    result = CliRunner().invoke(app, ["train", "defualt"])
    assert isinstance(result.exception, MienError)
