from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer import Typer
from typer.testing import CliRunner, Result

from mien.apps.fetch import fetch
from mien.apps.recognize import recognize
from mien.inference.detectors import yunet


@pytest.fixture
def photos(tmp_path: Path, astronaut: NDArray[np.uint8], hopper: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(astronaut).save(folder / "astronaut.png")
    (folder / "hopper.jpg").write_bytes(hopper.read_bytes())
    Image.new("RGB", (80, 60)).save(folder / "empty.png")
    return folder


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the command with the tiny model and Haar, as `mien recognize` would."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIEN_YUNET", raising=False)
    app = Typer()
    app.command()(recognize)

    def invoke(*arguments: object) -> Result:
        fixed = ["--model", str(tiny_model), "--detector", "haar"]
        return CliRunner().invoke(app, [*fixed, *map(str, arguments)])

    return invoke


def test_json(run, photos: Path) -> None:
    done = run(photos, "--format", "json")
    assert done.exit_code == 0
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(r["source"]).name for r in results] == ["astronaut.png", "empty.png", "hopper.jpg"]
    assert [len(r["faces"]) for r in results] == [1, 0, 1]
    face = results[0]["faces"][0]
    values = {"face", "x", "y", "width", "height", "roll", "score", "label", "confidence", "unsure", "probabilities"}
    assert set(face) == values
    x, y, width, height = (face[name] for name in ("x", "y", "width", "height"))
    assert x < 223 < x + width
    assert y < 118 < y + height
    assert sum(results[0]["shares"].values()) == 1
    assert sum(results[1]["shares"].values()) == 0
    assert done.stderr == ""


def test_csv_and_table(run, photos: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(photos, "--format", "csv").stdout)))
    assert [(Path(row["source"]).name, row["face"]) for row in rows] == [
        ("astronaut.png", "1"),
        ("empty.png", "0"),
        ("hopper.jpg", "1"),
    ]
    lines = run(photos).stdout.splitlines()
    assert [line.split()[:3] for line in lines if line.endswith("empty.png")] == [["-", "no", "face"]]
    assert "Expressions: unsure 100 % (2 of 2)" in lines[-1]  # the tiny model never exceeds one half


def test_bad_images_are_skipped(run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    data = (photos / "hopper.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(data[: len(data) // 2])
    (photos / "text.png").write_text("text")
    (photos / "zero.png").touch()
    done = run(tmp_path / "nosuch.jpg", tmp_path / "nothing", photos, "--format", "json")
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("error: ") for line in lines)
    for name, line in zip(("nothing", "nosuch.jpg", "cut.jpg", "text.png", "zero.png"), lines, strict=True):
        assert name in line


def test_an_image_named_twice_is_processed_once(run, photos: Path) -> None:
    done = run(photos / "hopper.jpg", photos, photos / "*.jpg", "--format", "json")
    names = [Path(json.loads(line)["source"]).name for line in done.stdout.splitlines()]
    assert names == ["hopper.jpg", "astronaut.png", "empty.png"]


def test_saving(run, photos: Path, tmp_path: Path) -> None:
    before = (photos / "astronaut.png").read_bytes()
    assert run(photos, "--save", photos, "--format", "json").exit_code == 0
    assert (photos / "astronaut.png").read_bytes() == before
    drawn = np.asarray(Image.open(photos / "astronaut-2.png"))
    assert drawn.shape == (512, 512, 3)
    (tmp_path / "file").touch()
    failed = run(photos / "hopper.jpg", "--save", tmp_path / "file", "--format", "json")
    assert failed.exit_code == 1
    assert len(failed.stdout.splitlines()) == 1  # the result is printed
    assert "cannot be saved" in failed.stderr


def test_keep_all(run, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.new("L", (48, 48), 200).save(flat)
    done = run(flat, "--detector", "none", "--keep-all", "--format", "json")
    assert json.loads(done.stdout)["faces"][0]["label"] == "happy"


def test_fetch_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requested: list[float] = []

    def fetched(timeout: float) -> Path:
        requested.append(timeout)
        return tmp_path / "yunet.onnx"

    monkeypatch.setattr(yunet, "fetch_weights", fetched)
    app = Typer()
    app.command()(fetch)
    done = CliRunner().invoke(app, ["yunet", "--timeout", "3"])
    assert done.exit_code == 0
    assert requested == [3]
    assert "yunet.onnx" in done.stdout
