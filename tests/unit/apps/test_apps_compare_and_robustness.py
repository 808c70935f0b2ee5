"""`mien compare`, `mien robustness` and the options of `mien score`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from made_predictions import make_predictions
from typer.testing import CliRunner

from mien.apps.compare import compare
from mien.apps.data_sets import show_progress
from mien.apps.evaluate import score
from mien.apps.robustness import robustness
from mien.core.errors import DataError

app = typer.Typer()
app.command()(compare)
app.command()(score)
app.command()(robustness)


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two models' predictions of 80 images of two people; the second is correct more often."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 7, 80)
    paths = []
    for name, skill in (("weak", 0.4), ("[b]strong", 0.8)):
        scores = generator.dirichlet(np.ones(7), 80)
        scores[np.arange(80), labels] += generator.random(80) < skill
        path = tmp_path / f"{len(paths)}.npz"
        make_predictions(
            scores / scores.sum(axis=1, keepdims=True), labels, model=name, is_duplicate=np.arange(80) < 10,
            metadata={"subject": np.where(np.arange(80) % 2, "[i]x", "y")},
        ).save(path)  # fmt: skip
        paths.append(path)
    return paths[0], paths[1]


def test_compare(files: tuple[Path, Path]) -> None:
    given = json.loads(invoke("compare", *files, "--json"))
    assert given["difference"]["accuracy"] > 0
    assert given["mcnemar"]["p_mid"] < given["mcnemar"]["p_exact"] < 0.05
    assert given["without_duplicates"]["n"] == 70
    text = invoke("compare", *files)
    for words in ("[b]strong", "without duplicates: 70", "McNemar", f"{100 * given['difference']['accuracy']:.2f}  ["):
        assert words in text


def test_score_by_group(files: tuple[Path, Path]) -> None:
    given = json.loads(invoke("score", files[0], "--by", "subject", "--json"))
    assert {name: row["n"] for name, row in given["slices"]["groups"].items()} == {"[i]x": 40, "y": 40}
    assert given["n"] == 80
    text = invoke("score", files[0], "--by", "subject")
    assert "[i]x" in text
    assert "Largest gap in accuracy" in text
    assert "none; fewer than two groups have 41 images" in invoke(
        "score", files[0], "--by", "subject", "--smallest", 41
    )


def test_score_calibrated(files: tuple[Path, Path], tmp_path: Path) -> None:
    given = json.loads(invoke("score", files[0], "--calibrate", "half", "--json"))["calibrated"]
    assert given["n"] + given["n_fitted"] == 80
    assert "Temperature" in invoke("score", files[0], "--calibrate", "half")
    with pytest.raises(DataError, match="both fitted on and scored"):
        invoke("score", files[0], "--calibrate", files[1])
    with pytest.raises(DataError, match="does not exist"):
        invoke("score", files[0], "--calibrate", tmp_path / "none.npz")


def test_score_against_ferplus(tmp_path: Path) -> None:
    pixels = " ".join(["9"] * 2304)
    rows = [(3, "Training"), (3, "PublicTest"), (4, "PublicTest")]
    (tmp_path / "fer2013.csv").write_text(
        "emotion,pixels,Usage\n" + "".join(f"{label},{pixels},{usage}\n" for label, usage in rows)
    )
    predictions = make_predictions(np.eye(7)[[3, 6]], [3, 4], rows=np.array([1, 2]))
    predictions.save(tmp_path / "p.npz")
    with pytest.raises(DataError, match=r"No fer2013new\.csv"):
        invoke("score", tmp_path / "p.npz", "--ferplus", tmp_path)
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    votes = "Training,a,0,10,0,0,0,0,0,0,0,0\nPublicTest,b,0,10,0,0,0,0,0,0,0,0\nPublicTest,c,8,0,0,2,0,0,0,0,0,0\n"
    (tmp_path / "fer2013new.csv").write_text(header + votes)
    given = json.loads(invoke("score", tmp_path / "p.npz", "--ferplus", tmp_path, "--json"))["agreement"]
    assert (given["n"], given["model"], given["label"], given["mistakes_backed"]) == (2, 1, 0.5, 1)
    assert "the majority agrees with the model" in " ".join(
        invoke("score", tmp_path / "p.npz", "--ferplus", tmp_path).split()
    )


def test_robustness(tiny_model: Path, tmp_path: Path) -> None:
    words = ["robustness", tiny_model, "--dataset", "synthetic", "--only", "low_light", "--only", "jpeg"]
    out, png = tmp_path / "r.json", tmp_path / "r.png"
    drawn = [tmp_path / "a.svg", tmp_path / "b.svg"]
    given = json.loads(
        invoke(*words, "--json", "--out", out, "--figure", png, *(w for svg in drawn for w in ("--figure", svg)))
    )
    assert json.loads(out.read_text()) == given
    assert list(given["corruptions"]) == ["low_light", "jpeg"]
    assert given["split"] == "validation"
    assert str(tmp_path) not in out.read_text()
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    assert b"<svg" in drawn[0].read_bytes()
    text = invoke(*words)
    assert "low_light" in text
    assert f"{100 * given['kept']:.1f}" in text


def test_no_progress_is_written_to_a_file_or_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(2) as progress:
        progress(1)
    assert capsys.readouterr().err == ""


def test_robustness_refuses_before_it_starts(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["robustness", tiny_model, "--dataset", "synthetic"]
    with pytest.raises(DataError, match=r"\.png or \.svg"):
        invoke(*words, "--figure", tmp_path / "r.pdf")
    with pytest.raises(DataError, match="No folder"):
        invoke(*words, "--out", tmp_path / "none" / "r.json")
    with pytest.raises(DataError, match="Name the data"):
        invoke("robustness", tiny_model)
    with pytest.raises(DataError, match="Did you mean 'jpeg'"):
        invoke(*words, "--only", "jpg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="matplotlib"):
        invoke(*words, "--figure", tmp_path / "r.png")
