"""`mien bench latency`: prints a ratio, or one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mien.apps.bench import app
from mien.core.errors import MienError
from mien.evaluation import latency
from mien.evaluation.latency import Latency, Timing

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
