"""`mien evaluate-detector`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import square_detector
import typer
from square_detector import write_photographs
from typer.testing import CliRunner

from mien.apps.evaluate_detector import evaluate_detector
from mien.core import plugins
from mien.core.errors import DataError, ModelError

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


def test_bad_input_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Name photographs with --boxes DIR"):
        invoke("square")
    with pytest.raises(ModelError, match="squere"):
        invoke("squere", "--boxes", folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"No boxes in .*empty: expected images and COCO"):
        invoke("square", "--boxes", empty)
    with pytest.raises(DataError, match=r"--sheet .*: expected a file"):
        invoke("square", "--boxes", folder, "--sheet", "sheet.txt")
