"""From end to end: train on synthetic faces, evaluate, export, recognize."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mien.data.registry import load
from mien.inference.model import OnnxModel
from mien.inference.recognizer import Recognizer


def mien(*words, cwd):
    command = [sys.executable, "-m", "mien", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=240)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of the recipe that needs no download, trained for real."""
    work = tmp_path_factory.mktemp("work")
    mien("train", "resnet18/synthetic", "--out", "run", "--quiet", "--set", "training.threads=1", cwd=work)
    return work / "run"


def test_training_learns(run):
    record = json.loads((run / "record.json").read_text())
    assert record["scores"]["accuracy"] >= 0.8
    assert record["scores"]["n"] == 140
    assert record["curves"][-1]["train_loss"] < record["curves"][0]["train_loss"]
    assert record["scores"]["selection"]["rule"].startswith("best epoch on validation")


def test_card_and_record_agree(run):
    record = json.loads((run / "record.json").read_text())
    card = OnnxModel.load(run / "model.onnx").card
    assert card.labels.names == tuple(record["labels"])
    assert card.scores["accuracy"] == record["scores"]["accuracy"]
    assert card.scores["without_duplicates"]["n"] == record["scores"]["without_duplicates"]["n"]
    assert card.recipe == record["recipe"]
    assert card.input.mean == record["mean"]
    assert 0.1 <= card.reject_threshold <= 1
    assert card.temperature != 1


def test_evaluating_the_file_gives_the_recorded_scores(run):
    done = mien("evaluate", run / "model.onnx", "--dataset", "synthetic", "--json", cwd=run)
    scores = json.loads(done.stdout)
    record = json.loads((run / "record.json").read_text())
    for key in ("accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece", "n"):
        assert scores[key] == pytest.approx(record["scores"][key], abs=1e-6)
    again = mien("score", next(run.glob("predictions-*.npz")), "--json", cwd=run)
    assert json.loads(again.stdout)["nll"] == pytest.approx(scores["nll"], abs=1e-6)


def test_recognizer_agrees_with_the_evaluation(run):
    faces = load("synthetic", None).split("validation")
    recognizer = Recognizer(run / "model.onnx", detector="none")
    results = recognizer.recognize_batch(list(faces.images))
    labels = [recognizer.card.labels.index(result.faces[0].label) for result in results]
    record = json.loads((run / "record.json").read_text())
    assert np.mean(labels == faces.labels) == pytest.approx(record["scores"]["accuracy"])


def test_export_again_is_the_same_network_and_half_weights_are_half_the_size(run):
    mien("export", run, "--out", run / "again.onnx", cwd=run)
    mien("export", run, "--half", cwd=run)  # beside model.onnx, not in its place
    whole, again, half = (OnnxModel.load(run / name) for name in ("model.onnx", "again.onnx", "model16.onnx"))
    faces = np.random.default_rng(0).standard_normal((4, 1, 48, 48)).astype(np.float32)
    assert np.array_equal(whole.predict(faces).logits, again.predict(faces).logits)
    assert np.abs(whole.predict(faces).logits - half.predict(faces).logits).max() < 0.05
    assert (run / "model16.onnx").stat().st_size < 0.6 * (run / "model.onnx").stat().st_size
