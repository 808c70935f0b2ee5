"""`mien evaluate-detector`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import square_detector
import typer
from scene_folder import write_scenes
from square_detector import write_photographs
from typer.testing import CliRunner

from mien.apps.evaluate_detector import evaluate_detector
from mien.core import plugins
from mien.core.errors import DataError, ModelError
from mien.evaluation import detector_scenes

app = typer.Typer()
app.command()(evaluate_detector)


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "plugin_files", {})
    monkeypatch.setenv("COLUMNS", "120")


def invoke(*words: object) -> tuple[str, str]:
    words = (*words, "--plugin", square_detector.__file__)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception:
        raise result.exception
    return result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_photographs(tmp_path, [([(10, 10, 30, 250), (150, 20, 40, 140)], [(10, 10, 30, 30), (60, 10, 30, 30)])])
    return tmp_path


def test_tables_of_photographs(folder: Path, tiny_model: Path) -> None:
    text, _ = invoke("square", "--boxes", folder, "--model", tiny_model)
    for words in (
        "square: 2 faces in 1 photograph", "after rejection", "boxes that tiny takes for non-faces", "By size",
        "24 to 32", "By brightness", "By contrast", "Boxes with at least a score: square", "Calibration",
        "Expected calibration error",
    ):  # fmt: skip
        assert words in text
    assert invoke("square", "--boxes", folder)[0].count("rejection") == 0


def test_json_and_sheet(folder: Path) -> None:
    text, notes = invoke("square", "--boxes", folder, "--json", "--sheet", folder / "sheet.png")
    scores = json.loads(text)
    assert (scores["stages"]["detector"]["found"], scores["stages"]["detector"]["false"]) == (1, 1)
    assert notes == f"Sheet: {folder / 'sheet.png'} (1 missed, 1 false)\n"
    assert (folder / "sheet.png").is_file()


def test_scenes(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("none", "--scenes", write_scenes(tmp_path / "scenes"), "--dataset", "synthetic", "--faces", 1)
    text, _ = invoke(*words, "--model", tiny_model)
    for part in (
        "none: 7 frontal faces drawn into photographs", "after rejection", "24 to 32", "Roll in degrees", "90",
        "Imitated yaw", "1/16", "Contrast", "Noise", "sunglasses", "heads without a face",
        "Faces of the data set", "Frontal: OpenCV's cascade",
    ):  # fmt: skip
        assert part in text
    monkeypatch.setattr(detector_scenes, "CONDITIONS", {"size": detector_scenes.CONDITIONS["size"][:2]})
    text, notes = invoke(*words, "--seed", 3, "--json", "--sheet", tmp_path / "sheet.png")
    scores = json.loads(text)
    assert scores["seed"] == 3
    assert [row["level"] for row in scores["stages"]["detector"]["conditions"]["size"]] == ["24 to 32", "32 to 48"]
    assert "missed" in notes
    assert (tmp_path / "sheet.png").is_file()


def test_bad_input_is_one_line(folder: Path, tmp_path: Path) -> None:
    for words in ((), ("--boxes", folder, "--scenes", folder)):
        with pytest.raises(DataError, match="Name photographs with boxes by --boxes DIR, or photographs to draw on"):
            invoke("square", *words)
    with pytest.raises(DataError, match="Name the faces to draw with --data"):
        invoke("square", "--scenes", folder)
    with pytest.raises(ModelError, match="squere"):
        invoke("squere", "--boxes", folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"No boxes in .*empty: expected images and COCO"):
        invoke("square", "--boxes", empty)
    with pytest.raises(DataError, match=r"--sheet .*: expected a file"):
        invoke("square", "--boxes", folder, "--sheet", "sheet.txt")
