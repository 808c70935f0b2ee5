"""`mien evaluate` and `mien score` on a folder of pictures and a network of one layer."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import typer
from onnx import TensorProto, helper
from typer.testing import CliRunner

from mien.apps.evaluate import evaluate, score
from mien.core.card import METADATA_KEY, CropSpec, InputSpec, ModelCard
from mien.core.errors import DataError, MienError
from mien.core.expressions import LabelSet
from mien.evaluation.predictions import Predictions

SIZE = 8
# an order that no data set has, so that a mix-up by number shows
LABELS = ("sad", "contempt", "happy")
FILE = "predictions-tiny-net-folder-validation.npz"

app = typer.Typer()
app.command()(evaluate)
app.command()(score)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network whose logit c is pixel c of the first row."""
    weight = np.zeros((SIZE * SIZE, len(LABELS)), dtype=np.float32)
    weight[: len(LABELS)] = 4 * np.eye(len(LABELS))
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(LABELS)])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    spec = InputSpec(size=SIZE, channels=1, mean=0.0, std=1.0)
    card = ModelCard("tiny/net", "none", LabelSet.of(LABELS), spec, CropSpec(), scores={"selection": "last epoch"})
    network.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    path = tmp_path / "tiny.onnx"
    path.write_bytes(network.SerializeToString())
    return path


def write_face(path: Path, shows: str, mark: int) -> None:
    """Draw a picture that the network calls `shows`; `mark` makes it differ from the others."""
    image = np.zeros((SIZE, SIZE), dtype=np.uint8)
    image[0, LABELS.index(shows)] = 255
    image[-1, -1] = mark
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Validation: 3 happy (one called sad, a twin of a training picture) and 2 sad (both right)."""
    root = tmp_path / "faces"
    write_face(root / "train/happy/0.png", "sad", 50)
    write_face(root / "train/sad/0.png", "sad", 60)
    write_face(root / "validation/happy/0.png", "sad", 50)
    for i in (1, 2):
        write_face(root / f"validation/happy/{i}.png", "happy", i)
        write_face(root / f"validation/sad/{i}.png", "sad", i)
    return root


def test_json_scores(model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = CliRunner().invoke(
        app,
        ["evaluate", str(model), "--data", str(data), "--split", "validation", "--out", str(out), "--json"],
    )
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert scores["n"] == 5
    assert scores["accuracy"] == pytest.approx(0.8)
    assert scores["labels"] == ["happy", "sad"]
    assert scores["confusion"] == [[2, 1], [0, 2]]
    assert scores["model"] == "tiny/net"
    assert scores["selection"] == "last epoch"
    assert (scores["without_duplicates"]["n"], scores["without_duplicates"]["accuracy"]) == (4, 1)
    assert [p.name for p in out.iterdir()] == [FILE]


def test_the_predictions_file(model: Path, data: Path, tmp_path: Path) -> None:
    args = [str(model), "--data", str(data), "--dataset", "folder", "--out", str(tmp_path), "--json"]
    printed = json.loads(CliRunner().invoke(app, ["evaluate", *args]).stdout)
    saved = Predictions.load(tmp_path / FILE)
    assert saved.rows.tolist() == [2, 3, 4, 5, 6]
    assert all("validation" in path for path in saved.paths)
    # exp(4) against exp(0) twice, and contempt's share dropped
    np.testing.assert_allclose(saved.probabilities.max(axis=1), np.exp(4) / (np.exp(4) + 1), rtol=1e-5)
    again = CliRunner().invoke(app, ["score", str(tmp_path / FILE), "--json"])
    assert json.loads(again.stdout) == printed


def test_runs_of_one_recipe_keep_their_predictions_apart_and_other_divisions_are_told(
    model: Path, data: Path, tmp_path: Path
) -> None:
    network = onnx.load(str(model))
    card = ModelCard.from_json(network.metadata_props[0].value)
    division = {"dataset": "folder", "protocol": "ratio"}
    recipe = {"ablation": "plain", "training": {"seed": 2}, "data": division}
    network.metadata_props[0].value = dataclasses.replace(card, recipe=recipe).to_json()
    other = tmp_path / "other.onnx"
    other.write_bytes(network.SerializeToString())
    told = []
    for file in (model, other):
        result = CliRunner().invoke(app, ["evaluate", str(file), "--data", str(data), "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output
        told.append("another division of folder" in result.stderr)
    assert told == [False, True]
    names = {path.name for path in tmp_path.glob("*.npz")}
    assert names == {FILE, "predictions-tiny-net-plain-seed2-folder-validation.npz"}


def test_tables(model: Path, data: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(model), "--data", str(data), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for text in ("tiny/net on folder, validation", "80.00 %", "100.00 %", "[", "recall", "66.7", "Confusion"):
        assert text in result.stdout
    assert "predictions-tiny-net" in result.stderr
    assert result.stdout == CliRunner().invoke(app, ["score", str(tmp_path / FILE)]).stdout


def test_without_a_training_split_it_says_so(model: Path, data: Path, tmp_path: Path) -> None:
    for file in (data / "train").rglob("*.png"):
        file.unlink()
    result = CliRunner().invoke(app, ["evaluate", str(model), "--data", str(data), "--out", str(tmp_path), "--json"])
    assert "no training split" in result.stderr
    scores = json.loads(result.stdout)
    assert scores["without_duplicates"]["n"] == scores["n"] == 5


def test_every_image_with_a_twin_is_shown(data: Path, model: Path, tmp_path: Path) -> None:
    for name in ("happy/1", "happy/2", "sad/1", "sad/2"):
        (data / f"validation/{name}.png").unlink()
    result = CliRunner().invoke(app, ["evaluate", str(model), "--data", str(data), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "without duplicates" in result.stdout


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--split", "test"], "no split 'test'"),
        (["--dataset", "foldr"], "foldr"),
    ],
)
def test_bad_input_gives_one_clear_line(args: list[str], text: str, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["evaluate", str(model), "--data", str(data), "--out", str(out), *args])
    assert isinstance(result.exception, MienError)
    assert text in str(result.exception)
    assert not out.exists()


def test_names_are_no_markup(model: Path, data: Path, tmp_path: Path) -> None:
    network = onnx.load(model)
    card = ModelCard.from_metadata({METADATA_KEY: network.metadata_props[0].value}, "tiny")
    network.metadata_props[0].value = dataclasses.replace(card, name="[/x] ../[red]").to_json()
    model.write_bytes(network.SerializeToString())
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["evaluate", str(model), "--data", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "[/x] ../[red] on folder" in result.stdout
    # the name of a model never leads out of the folder
    assert [p.name for p in out.iterdir()] == ["predictions--x-..-red--folder-validation.npz"]


def test_without_data_it_asks_for_them(model: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(model)])
    assert isinstance(result.exception, DataError)
    assert "--data" in str(result.exception)


def test_score_of_a_missing_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["score", str(tmp_path / "none.npz")])
    assert isinstance(result.exception, DataError)
