"""`mien export --weights8`: what it writes, what it measures, and where that stands."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.errors import DataError, MienError
from mien.data.registry import load
from mien.evaluation.predict import predict_split
from mien.evaluation.scores import score as compute_scores
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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "run"
    threads = torch.get_num_threads()
    fit(Recipe.model_validate(TINY), load("synthetic", None), folder, quiet=True)
    torch.set_num_threads(threads)
    return folder


def export(*words):
    done = CliRunner().invoke(app, ["export", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_accuracy_lost_stands_in_card_and_record(run):
    export(run)
    plain = json.loads((run / "record.json").read_text())["scores"]
    said = export(run, "--weights8")
    assert "model8.onnx" in said
    assert f"{100 * plain['accuracy']:.2f} % with 32-bit weights" in said
    card = OnnxModel.load(run / "model8.onnx").card
    lost = card.scores["weights"]
    assert lost["bits"] == 8
    assert lost["accuracy_at_32_bits"] == pytest.approx(plain["accuracy"])
    assert lost["accuracy_loss"] == pytest.approx(plain["accuracy"] - card.scores["accuracy"])
    recorded = json.loads((run / "record.json").read_text())["scores"]
    assert recorded.pop("weights8") == {"accuracy": card.scores["accuracy"], "split": "validation", **lost}
    assert recorded == plain, "the scores of the run stay those of its own weights"
    faces = load("synthetic", None).split("validation")
    from mien.evaluation.predict import predict_scores

    scores = predict_scores(OnnxModel.load(run / "model8.onnx"), faces)
    assert np.mean(scores.probabilities.argmax(1) == faces.labels) == pytest.approx(card.scores["accuracy"])


def test_without_data_nothing_is_claimed(run, tmp_path):
    from mien.export.publish import write_unmeasured
    from mien.training.run import load_run

    write_unmeasured(load_run(run), tmp_path / "x.onnx", weight_bits=8)
    weights = OnnxModel.load(tmp_path / "x.onnx").card.scores["weights"]
    assert weights["bits"] == 8
    assert weights["accuracy_loss"] is None


def test_one_kind_of_weights_at_a_time(run):
    with pytest.raises(MienError, match="expected one of them"):
        CliRunner().invoke(app, ["export", str(run), "--half", "--weights8"], catch_exceptions=False)


def test_data_with_other_labels_are_refused(run, tmp_path):
    from mien.core.expressions import LabelSet
    from mien.export.publish import publish
    from mien.training.run import load_run

    faces = load("synthetic", None)
    names = faces.label_set.names
    other = dataclasses.replace(faces, label_set=LabelSet.of([*names[1:], names[0]]))
    with pytest.raises(
        DataError, match=r"has the labels angry, disgust, .*; data set 'synthetic' has disgust, .*, angry. Give"
    ):
        publish(load_run(run), other, tmp_path / "x.onnx")


@pytest.mark.parametrize(("weight_bits", "networks"), [(32, 1), (8, 2)])
def test_each_network_scores_the_validation_split_once(run, tmp_path, monkeypatch, weight_bits, networks):
    from mien.export import publish
    from mien.training.run import load_run

    seen = []
    predict = publish.predict_scores
    monkeypatch.setattr(publish, "predict_scores", lambda model, faces: seen.append(faces) or predict(model, faces))
    dataset, path = load("synthetic", None), tmp_path / "x.onnx"
    measured = publish.publish(load_run(run), dataset, path, weight_bits=weight_bits)
    assert [faces.split_names for faces in seen] == [("validation",)] * networks
    predictions = predict_split(OnnxModel.load(path), dataset, "validation")
    assert np.array_equal(measured.predictions.probabilities, predictions.probabilities)
    assert measured.predictions.selection == predictions.selection
    scored = compute_scores(predictions)
    assert scored == {key: measured.scores[key] for key in scored} | {"selection": scored["selection"]}
