"""`mien export --int8` and `--fp16`: from a run and from a file, what is measured, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.errors import DataError, MienError, ModelError
from mien.data.registry import load
from mien.evaluation.predict import predict_scores
from mien.export import convert
from mien.export.model_file import with_card
from mien.inference.model import OnnxModel
from mien.recipes import Recipe
from mien.training.fit import fit

TINY = {
    "name": "tiny",
    "data": {"dataset": "synthetic", "not_a_face_share": 0.1},
    "network": {"name": "resnet18", "options": {"width": 8, "stem": "small"}},
    "optimizer": {"lr": 0.05},
    "schedule": {"epochs": 1},
    "training": {"batch_size": 32, "threads": 1},
}
LOSSY = ["--allow-loss", "100"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convert") / "run"
    threads = torch.get_num_threads()
    fit(Recipe.model_validate(TINY), load("synthetic", None), folder, quiet=True)
    torch.set_num_threads(threads)
    export(folder)
    return folder


@pytest.fixture(autouse=True)
def few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate with sixteen faces: more take longer and change nothing here."""
    choose = convert._calibration_faces
    monkeypatch.setattr(convert, "_calibration_faces", lambda *words: choose(*words[:3], 16))


def export(*words: object) -> str:
    done = CliRunner().invoke(app, ["export", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.output.split())


def accuracy(model: OnnxModel) -> float:
    faces = load("synthetic", None).split("validation")
    return float(np.mean(predict_scores(model, faces).probabilities.argmax(1) == faces.labels))


@pytest.mark.parametrize(("option", "name", "precision"), [("--int8", "int8", "int8"), ("--fp16", "fp16", "float16")])
def test_the_loss_stands_in_the_card(run: Path, option: str, name: str, precision: str) -> None:
    record = (run / "record.json").read_text()
    said = export(run, option, *LOSSY)
    path = run / f"model-{name}.onnx"
    model, whole = OnnxModel.load(path), OnnxModel.load(run / "model.onnx")
    conversion = model.card.conversion
    assert model.card.precision == precision
    assert model.card.name == f"tiny ({name})"
    assert conversion["accuracy_at_32_bits"] == pytest.approx(accuracy(whole))
    assert conversion["accuracy"] == pytest.approx(accuracy(model)) == pytest.approx(model.card.scores["accuracy"])
    assert conversion["accuracy_loss"] == pytest.approx(accuracy(whole) - accuracy(model))
    assert conversion["split"] == "validation"
    assert 0 < conversion["same_label"] <= 1
    assert conversion.get("calibration_faces") == (16 if name == "int8" else None)
    assert f"{100 * conversion['accuracy']:.2f} % of {conversion['n']} validation faces" in said
    assert f"computes in {precision}" in said
    assert model.card.reject_threshold is not None
    assert (run / "record.json").read_text() == record, "the run is as it was"


def test_a_file_gives_the_same_as_its_run(run: Path, tmp_path: Path) -> None:
    export(run, "--int8", *LOSSY, "-o", tmp_path / "a.onnx")
    export(run / "model.onnx", "--int8", *LOSSY, "-o", tmp_path / "b.onnx")
    first, second = (OnnxModel.load(tmp_path / f"{name}.onnx") for name in "ab")
    assert first.card.conversion == second.card.conversion
    assert first.card.scores == second.card.scores
    faces = np.random.default_rng(0).standard_normal((2, 1, 48, 48)).astype(np.float32)
    np.testing.assert_allclose(first.predict(faces).logits, second.predict(faces).logits, atol=1e-4)


def test_too_great_a_loss_writes_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = convert._compare

    def lose(*words: Any) -> dict[str, Any]:
        found = compare(*words)
        return found | {"accuracy_loss": 0.0123, "accuracy": found["accuracy_at_32_bits"] - 0.0123}

    monkeypatch.setattr(convert, "_compare", lose)
    path = tmp_path / "x.onnx"
    with pytest.raises(ModelError, match=r"Not exported: 1\.23 points .* at most 0\.5 may be.*--allow-loss 1\.3\."):
        export(run, "--int8", "-o", path)
    assert not list(tmp_path.iterdir())
    assert "-1.23 points against 32 bits" in export(run, "--int8", "-o", path, "--allow-loss", "1.3")
    assert OnnxModel.load(path).card.conversion["accuracy_loss"] == 0.0123


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--int8", "--fp16"], "expected one of them"),
        (["--int8", "--half"], "expected one of them"),
        (["--allow-loss", "1"], "expected --int8 or --fp16"),
    ],
)
def test_options_that_do_not_go_together(run: Path, words: list[str], said: str) -> None:
    with pytest.raises(MienError, match=said):
        export(run, *words)


def test_a_name_needs_a_file_to_write() -> None:
    with pytest.raises(MienError, match="'default' is not a run folder; name the file to write with --out"):
        export("default", "--int8")


def test_training_data_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="trains on fer2013: name its folder with --data"):
        export("default", "--int8", "-o", tmp_path / "x.onnx")
    with pytest.raises(ModelError, match="No model named 'defualt'"):
        export("defualt", "--int8", "-o", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_converted_model_is_not_converted_again(run: Path, tmp_path: Path) -> None:
    content = (run / "model.onnx").read_bytes()
    card = OnnxModel.load(run / "model.onnx").card
    for changes, said in (
        ({"precision": "int8"}, "converted to int8 already"),
        ({"recipe": {}}, "no recipe in its card"),
    ):
        path = tmp_path / "x.onnx"
        path.write_bytes(with_card(content, dataclasses.replace(card, **changes)))
        with pytest.raises(ModelError, match=said):
            export(path, "--int8", "-o", tmp_path / "y.onnx")


def test_a_run_folder_alone_is_exported_whole(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="holds no run"):
        export(tmp_path / "default")
    assert json.dumps(list(map(str, tmp_path.iterdir()))) == "[]"
