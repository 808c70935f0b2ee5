"""`mien evaluate` and `mien score` on a folder of images and a model whose answers are drawn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from click.testing import Result
from pixel_model import SIZE, PixelModel
from typer.testing import CliRunner

from mien.apps.evaluate import evaluate, score
from mien.core.errors import MienError
from mien.evaluation.predictions import Predictions
from mien.inference.model import OnnxModel, Scores

# an order that no data set has, so that labels matched by number would show
LABELS = ("sad", "contempt", "happy")
FILE = "predictions-tiny-net-folder-faces-validation.npz"

app = typer.Typer()
app.command()(evaluate)
app.command()(score)


def invoke(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None, result.output
    return result


def write_face(path: Path, answer: str, mark: int) -> None:
    """Draw an image for which the model answers `answer`; `mark` makes it differ from the others."""
    image = np.zeros((SIZE, SIZE), dtype=np.uint8)
    image[0, LABELS.index(answer)] = 204
    image[0, LABELS.index("happy" if answer == "sad" else "sad")] = 51
    image[-1, -1] = mark
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> PixelModel:
    model = PixelModel(*LABELS, name="tiny/net", scores={"selection": "last epoch"})
    monkeypatch.setattr(OnnxModel, "load", lambda *_, **__: model)
    return model


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Validation: 3 happy (one predicted sad, a duplicate of a training image) and 2 sad (both correct)."""
    root = tmp_path / "faces"
    write_face(root / "train/happy/0.png", "sad", 50)
    write_face(root / "train/sad/0.png", "sad", 60)
    write_face(root / "validation/happy/0.png", "sad", 50)
    for i in (1, 2):
        write_face(root / f"validation/happy/{i}.png", "happy", i)
        write_face(root / f"validation/sad/{i}.png", "sad", i)
    return root


def test_scores_and_predictions_file(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    printed = invoke("evaluate", "m", "--data", data, "--dataset", "folder", "--out", out, "--json").stdout
    scores = json.loads(printed)
    assert (scores["n"], scores["accuracy"], scores["model"]) == (5, 0.8, "tiny/net")
    assert (scores["labels"], scores["confusion"]) == (["happy", "sad", "contempt"], [[2, 1, 0], [0, 2, 0], [0, 0, 0]])
    assert scores["selection"] == "last epoch"
    assert (scores["without_duplicates"]["n"], scores["without_duplicates"]["accuracy"]) == (4, 1)
    assert [p.name for p in out.iterdir()] == [FILE]
    saved = Predictions.load(out / FILE)
    assert saved.rows.tolist() == [2, 3, 4, 5, 6]
    assert all("validation" in path for path in saved.paths)
    np.testing.assert_allclose(saved.probabilities.max(axis=1), 0.8, rtol=1e-5)
    assert invoke("score", out / FILE, "--json").stdout == printed


def test_tables(data: Path, tmp_path: Path) -> None:
    result = invoke("evaluate", "m", "--data", data, "--out", tmp_path)
    for text in ("tiny/net on folder faces, validation", "80.00 %", "100.00 %", "[", "recall", "66.7", "Confusion"):
        assert text in result.stdout
    assert "predictions-tiny-net" in result.stderr
    assert result.stdout == invoke("score", tmp_path / FILE).stdout
    for name in ("happy/1", "happy/2", "sad/1", "sad/2"):
        (data / f"validation/{name}.png").unlink()
    assert "without duplicates" in invoke("evaluate", "m", "--data", data, "--out", tmp_path).stdout


def test_folders_of_their_own_have_files_of_their_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    data.rename(tmp_path / "our faces")
    write_face(tmp_path / "others/happy/0.png", "happy", 1)
    write_face(tmp_path / "others/sad/0.png", "happy", 1)
    monkeypatch.chdir(tmp_path / "others")
    for folder in (tmp_path / "our faces", "."):
        invoke("evaluate", "m", "--data", folder, "--out", out)
    files = {path.name: Predictions.load(path) for path in out.iterdir()}
    assert {name: len(saved) for name, saved in files.items()} == {
        "predictions-tiny-net-folder-our-faces-validation.npz": 5,
        "predictions-tiny-net-folder-others-all.npz": 2,
    }
    assert {(saved.dataset, saved.folder) for saved in files.values()} == {
        ("folder", "our faces"),
        ("folder", "others"),
    }


def test_predictions_of_other_images_are_not_replaced_in_silence(data: Path, tmp_path: Path) -> None:
    words = ("evaluate", "m", "--out", tmp_path, "--data")
    assert "in place of" not in invoke(*words, data).stderr
    assert "in place of" not in invoke(*words, data).stderr
    write_face(data / "validation/happy/0.png", "happy", 3)
    assert f"{FILE}, in place of those of other images" in " ".join(invoke(*words, data).stderr.split())


def test_the_file_names_ablation_and_seed_and_another_division_is_reported(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"ablation": "plain", "training": {"seed": 2}, "data": {"dataset": "folder", "protocol": "ratio"}}
    other = PixelModel(*LABELS, name="tiny/net", recipe=recipe)
    assert "another division" not in invoke("evaluate", "m", "--data", data, "--out", tmp_path).stderr
    monkeypatch.setattr(OnnxModel, "load", lambda *_, **__: other)
    assert "another division of folder" in invoke("evaluate", "m", "--data", data, "--out", tmp_path).stderr
    names = {path.name for path in tmp_path.glob("*.npz")}
    assert names == {FILE, "predictions-tiny-net-plain-seed2-folder-faces-validation.npz"}


def test_several_models_are_an_ensemble(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Opposite(PixelModel):
        """Certain that every face is happy."""

        def predict(self, faces: np.ndarray) -> Scores:
            shape = (len(faces), len(LABELS))
            certain = np.eye(len(LABELS), dtype=np.float32)[np.full(len(faces), LABELS.index("happy"))]
            return Scores(np.zeros(shape, np.float32), certain, np.zeros(len(faces), np.float32))

    models = {"m": PixelModel(*LABELS, name="tiny/net"), "n": Opposite(*LABELS, name="other")}
    monkeypatch.setattr(OnnxModel, "load", lambda name, **__: models[name])
    words = ("--data", data, "--dataset", "folder", "--out", tmp_path, "--views", "flip")
    result = invoke("evaluate", "m", "n", *words, "--json")
    scores = json.loads(result.stdout)
    assert (scores["model"], scores["views"]) == ("tiny/net + other", "flip")
    assert scores["members"][1] == {"model": "other", "accuracy": 0.6}
    assert len(list(tmp_path.glob("predictions-ensemble-of-2-*-folder-faces-validation-flip.npz"))) == 1
    single = json.loads(invoke("evaluate", "n", *words, "--json").stdout)
    assert "members" not in single
    table = invoke("evaluate", "m", "n", *words).stdout
    assert "tiny/net + other on folder faces" in table
    assert "Members, each alone" in table


def test_without_a_training_split_a_note_is_printed(data: Path, tmp_path: Path) -> None:
    for file in (data / "train").rglob("*.png"):
        file.unlink()
    result = invoke("evaluate", "m", "--data", data, "--out", tmp_path, "--json")
    assert "no training split" in result.stderr
    scores = json.loads(result.stdout)
    assert scores["without_duplicates"]["n"] == scores["n"] == 5


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--split", "test"], "no split 'test'"),
        (["--dataset", "foldr"], "foldr"),
        (["--views", "two"], "No views named 'two'"),
    ],
)
def test_bad_input_is_refused_before_the_work(words: list[str], text: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["evaluate", "m", "--data", str(data), "--out", str(out), *words])
    assert isinstance(result.exception, MienError)
    assert text in str(result.exception)
    assert not out.exists()


def test_names_are_not_markup_and_stay_in_the_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = PixelModel(*LABELS, name="[/x] ../[red]")
    monkeypatch.setattr(OnnxModel, "load", lambda *_, **__: hostile)
    out = tmp_path / "out"
    assert "[/x] ../[red] on folder faces" in invoke("evaluate", "m", "--data", data, "--out", out).stdout
    assert [p.name for p in out.iterdir()] == ["predictions-x-..-red-folder-faces-validation.npz"]
