"""`mien export` of a run and of a file: what is measured, where it is stored, and what is refused."""

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
from mien.core.expressions import LabelSet
from mien.data.registry import load
from mien.evaluation.predict import predict_scores, predict_split
from mien.evaluation.scores import score
from mien.export import convert, publish
from mien.export.model_file import with_card
from mien.inference.model import OnnxModel
from mien.recipes import Recipe
from mien.training.fit import fit
from mien.training.run import load_run

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
    folder = tmp_path_factory.mktemp("export") / "run"
    threads = torch.get_num_threads()
    fit(Recipe.model_validate(TINY), load("synthetic", None), folder, quiet=True)
    torch.set_num_threads(threads)
    export(folder)
    return folder


@pytest.fixture(autouse=True)
def few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate int8 with sixteen faces: more take longer and make no difference here."""
    monkeypatch.setattr(convert, "CALIBRATION_FACES", 16)


def export(*words: object) -> str:
    done = CliRunner().invoke(app, ["export", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.output.split())


def accuracy(model: OnnxModel) -> float:
    faces = load("synthetic", None).split("validation")
    return float(np.mean(predict_scores(model, faces).probabilities.argmax(1) == faces.labels))


def test_the_loss_of_8_bit_weights_is_stored_in_card_and_record(run: Path) -> None:
    plain = json.loads((run / "record.json").read_text())["scores"]
    said = export(run, "--weights8")
    assert "model8.onnx" in said
    assert f"{100 * plain['accuracy']:.2f} % with 32-bit weights" in said
    model = OnnxModel.load(run / "model8.onnx")
    lost = model.card.scores["weights"]
    assert lost["bits"] == 8
    assert lost["accuracy_at_32_bits"] == pytest.approx(plain["accuracy"])
    assert lost["accuracy_loss"] == pytest.approx(plain["accuracy"] - model.card.scores["accuracy"])
    recorded = json.loads((run / "record.json").read_text())["scores"]
    assert recorded.pop("weights8") == {"accuracy": model.card.scores["accuracy"], "split": "validation", **lost}
    assert recorded == plain, "the scores of the run are those of its 32-bit weights"
    assert accuracy(model) == pytest.approx(model.card.scores["accuracy"])
    publish.write_unmeasured(load_run(run), run / "x.onnx", weight_bits=8)
    assert OnnxModel.load(run / "x.onnx").card.scores["weights"]["accuracy_loss"] is None, "without data"


@pytest.mark.parametrize(("weight_bits", "networks"), [(32, 1), (8, 2)])
def test_each_network_runs_once_over_the_validation_split(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight_bits: Any, networks: int
) -> None:
    seen = []
    monkeypatch.setattr(
        publish, "predict_scores", lambda model, faces: seen.append(faces) or predict_scores(model, faces)
    )
    dataset, path = load("synthetic", None), tmp_path / "x.onnx"
    measured = publish.publish(load_run(run), dataset, path, weight_bits=weight_bits)
    assert [faces.split_names for faces in seen] == [("validation",)] * networks
    predictions = predict_split(OnnxModel.load(path), dataset, "validation")
    assert np.array_equal(measured.predictions.probabilities, predictions.probabilities)
    assert measured.predictions.selection == predictions.selection
    scores = score(predictions)
    assert scores == {key: measured.scores[key] for key in scores} | {"selection": scores["selection"]}


def test_data_with_other_labels_are_refused(run: Path, tmp_path: Path) -> None:
    faces = load("synthetic", None)
    names = faces.label_set.names
    other = dataclasses.replace(faces, label_set=LabelSet.of([*names[1:], names[0]]))
    with pytest.raises(DataError, match=r"labels angry, disgust, .*; data set 'synthetic' has disgust, .*, angry"):
        publish.publish(load_run(run), other, tmp_path / "x.onnx")


@pytest.mark.parametrize(("option", "name", "precision"), [("--int8", "int8", "int8"), ("--fp16", "fp16", "float16")])
def test_the_loss_of_a_conversion_is_stored_in_the_card(run: Path, option: str, name: str, precision: str) -> None:
    record = (run / "record.json").read_text()
    said = export(run, option, *LOSSY)
    model, full = OnnxModel.load(run / f"model-{name}.onnx"), OnnxModel.load(run / "model.onnx")
    conversion = model.card.conversion
    assert model.card.precision == precision
    assert model.card.name == f"tiny ({name})"
    assert conversion["accuracy_at_32_bits"] == pytest.approx(accuracy(full))
    assert conversion["accuracy"] == pytest.approx(accuracy(model)) == pytest.approx(model.card.scores["accuracy"])
    assert conversion["accuracy_loss"] == pytest.approx(accuracy(full) - accuracy(model))
    assert conversion["split"] == "validation"
    assert 0 < conversion["same_label"] <= 1
    assert conversion.get("calibration_faces") == (16 if name == "int8" else None)
    assert f"{100 * conversion['accuracy']:.2f} % of {conversion['n']} validation faces" in said
    assert model.card.reject_threshold is not None
    assert (run / "record.json").read_text() == record, "the record does not change"


def test_a_file_is_converted_as_its_run(run: Path, tmp_path: Path) -> None:
    export(run, "--int8", *LOSSY, "-o", tmp_path / "a.onnx")
    export(run / "model.onnx", "--int8", *LOSSY, "-o", tmp_path / "b.onnx")
    first, second = (OnnxModel.load(tmp_path / f"{name}.onnx") for name in "ab")
    assert first.card.conversion == second.card.conversion
    assert first.card.scores == second.card.scores
    faces = np.random.default_rng(0).standard_normal((2, 1, 48, 48)).astype(np.float32)
    np.testing.assert_allclose(first.predict(faces).logits, second.predict(faces).logits, atol=1e-4)


def test_a_large_loss_writes_nothing(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Not exported: .* points .* at most -100 may be.*--allow-loss"):
        export(run, "--int8", "-o", tmp_path / "x.onnx", "--allow-loss", "-100")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN", "--half", "--weights8"], "expected one of them"),
        (["RUN", "--allow-loss", "1"], "expected --int8 or --fp16"),
        (["default", "--int8"], "'default' is not a run folder; name the file to write with --out"),
        (["default", "--int8", "-o", "x.onnx"], "trains on the data set 'fer2013': name it with --data"),
        (["defualt", "--int8", "-o", "x.onnx"], "No model named 'defualt'"),
        (["missing"], "holds no run"),
    ],
)
def test_requests_that_are_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MienError, match=said):
        export(*(str(run) if word == "RUN" else word for word in words))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"precision": "int8"}, "converted to int8"), ({"recipe": {}}, "no recipe in its card")],
)
def test_files_that_cannot_be_converted(run: Path, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tmp_path / "x.onnx"
    card = OnnxModel.load(run / "model.onnx").card
    path.write_bytes(with_card((run / "model.onnx").read_bytes(), dataclasses.replace(card, **changes)))
    with pytest.raises(ModelError, match=said):
        export(path, "--int8", "-o", tmp_path / "y.onnx")
