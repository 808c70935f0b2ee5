"""`mien faithfulness`, `mien gallery` and `mien neighbours` as a user calls them, on drawn faces and a tiny network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import typer
from skimage.io import imsave
from typer.testing import CliRunner

from mien.apps.faithfulness import faithfulness
from mien.apps.gallery import gallery
from mien.apps.neighbours import neighbours
from mien.core.errors import DataError, ImageError, ModelError
from mien.core.expressions import FER2013_LABELS
from mien.recipes import parse_recipe
from mien.recipes.record import RunRecord
from mien.training.run import create_network

RECIPE = {
    "name": "drawn/tiny",
    "paper": "none",
    "data": {"dataset": "synthetic"},
    "network": {"name": "resnet18", "input_size": 32, "channels": 1, "options": {"width": 4, "stem": "small"}},
    "schedule": {"epochs": 1},
}

app = typer.Typer()
for command in (faithfulness, gallery, neighbours):
    app.command()(command)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder whose network has not learnt anything."""
    folder = tmp_path_factory.mktemp("run")
    recipe = parse_recipe(RECIPE, "test")
    torch.manual_seed(1)
    network = create_network(recipe, len(FER2013_LABELS))
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    (folder / "checkpoints").mkdir()
    torch.save({"state_dict": state, "epoch": 0}, folder / "checkpoints" / "best.ckpt")
    torch.save({"state_dict": state, "epoch": 0}, folder / "checkpoints" / "last.ckpt")
    record = RunRecord(
        "drawn/tiny", recipe.model_dump(mode="json"), {}, list(FER2013_LABELS.names), 1, 0.5, 0.25, finished=True
    )
    record.save(folder / "record.json")
    return folder


@pytest.fixture
def call(monkeypatch):
    """Run a command; its `MienError` comes through as it is."""
    monkeypatch.setenv("COLUMNS", "160")
    threads = torch.get_num_threads()

    def run_command(*words):
        found = CliRunner().invoke(app, [str(word) for word in words])
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found

    yield run_command
    torch.set_num_threads(threads)


def measure(call, run, out, *more):
    words = ("faithfulness", run, "--dataset", "synthetic", "--faces", 6, "--step", 0.25, "--detector", "none")
    return call(*words, "-o", out, *more)


def test_faithfulness_writes_a_record_and_puts_its_means_into_the_run(call, run, tmp_path):
    out = tmp_path / "one.json"
    found = measure(call, run, out, "--method", "gradcam", "--json")
    assert found.exit_code == 0, found.output
    record, printed = json.loads(out.read_text()), json.loads(found.stdout)
    assert (record["model"], record["dataset"], record["split"], record["n"]) == (
        "drawn/tiny",
        "synthetic",
        "validation",
        6,
    )
    assert len(record["rows"]) == len(set(record["rows"])) == 6
    assert record["regions"]["from"] == {"mean face": 6}
    method = record["methods"]["gradcam"]
    assert len(method["insertion"]["areas"]) == 6
    assert method["layer"] == "stage4"
    assert [stop["share"] for stop in method["sanity"]["stops"]][-1] == 1
    kept = json.loads((run / "record.json").read_text())["explanations"]["synthetic validation"]
    assert kept == printed
    assert "areas" not in kept["methods"]["gradcam"]["insertion"]
    assert measure(call, run, tmp_path / "two.json", "--method", "gradcam").exit_code == 0
    assert json.loads((tmp_path / "two.json").read_text()) == record


def test_faithfulness_of_another_layer_joins_the_first(call, run, tmp_path):
    measure(call, run, tmp_path / "a.json", "--method", "gradcam", "--no-sanity")
    found = measure(call, run, tmp_path / "b.json", "--method", "gradcam", "--layer", "stage2", "--no-sanity")
    assert "gradcam@stage2" in found.stdout
    kept = json.loads((run / "record.json").read_text())["explanations"]["synthetic validation"]["methods"]
    assert kept.keys() >= {"gradcam", "gradcam@stage2"}
    assert "sanity" not in kept["gradcam@stage2"]


def test_faithfulness_of_an_onnx_file_uses_occlusion_and_no_weights(call, tiny_model, tmp_path):
    found = measure(call, tiny_model, tmp_path / "one.json", "--no-stability", "--faces", 3, "--replacement", "grey")
    assert found.exit_code == 0, found.output
    record = json.loads((tmp_path / "one.json").read_text())
    assert list(record["methods"]) == ["occlusion"]
    assert record["methods"]["occlusion"].keys() == {"layer", "constant_maps", "regions", "deletion", "insertion"}
    assert (record["deletion_to"], record["insertion_from"]) == ("grey", "grey")


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--method", "gradcm"), ModelError, "Did you mean 'gradcam'"),
        (("--layer", "stage9"), ModelError, "stage4"),
        (("--step", 0), DataError, "Step 0"),
        (("--split", "test"), DataError, "Splits with images"),
        (("--detector", "yunt"), ModelError, "Did you mean 'yunet'"),
        (("-o", "missing/one.json"), DataError, "create it first"),
    ],
)
def test_faithfulness_says_what_is_wrong(call, run, tmp_path, words, error, said):  # noqa: PLR0917
    with pytest.raises(error, match=said):
        measure(call, run, tmp_path / "one.json", *words)
    assert not (tmp_path / "one.json").exists()


def test_a_gallery_has_a_column_a_model_and_says_what_was_measured(call, run, tiny_model, tmp_path):
    found = call("gallery", run, run, "--dataset", "synthetic", "--layer", "stage3", "-o", tmp_path / "both")
    assert found.exit_code == 0, found.output
    assert found.stdout.split() == [str(tmp_path / f"both{suffix}") for suffix in (".png", ".svg")]
    words = (tmp_path / "both.svg").read_text(encoding="utf-8")
    for said in (
        "drawn/tiny (1)",
        "drawn/tiny (2)",
        "gradcam at stage3",
        "accuracy not measured",
        "7 faces",
        *FER2013_LABELS.names,
    ):
        assert said in words, said
    assert words.count("<image") == 7 * 3, "a face and two maps a row, each laid over its face"
    found = call(
        "gallery", tiny_model, "--dataset", "synthetic", "--method", "occlusion", "--mean", "--faces", 2,
        "-o", tmp_path / "mean.svg",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert (tmp_path / "mean.svg").read_text(encoding="utf-8").count("mean of 2") == 7


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("-o", "one.bmp"), DataError, "or no extension for both"),
        (("-o", "one", "--name", "a", "--name", "b"), DataError, "2 names for 1 models"),
        (("-o", "one", "--part", "gate"), ModelError, "no parts"),
    ],
)
def test_a_gallery_says_what_is_wrong(call, run, tmp_path, monkeypatch, words, error, said):  # noqa: PLR0917
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        call("gallery", run, "--dataset", "synthetic", *words)
    assert not list(tmp_path.iterdir())


def test_neighbours_of_a_training_face_begin_with_itself(call, run, tmp_path):
    from mien.data.options import LoadOptions
    from mien.data.registry import load

    faces = load("synthetic", None, LoadOptions(image_size=32)).split("train")
    imsave(tmp_path / "face.png", np.asarray(faces.images[33]))
    found = call(
        "neighbours", run, tmp_path / "face.png", "--dataset", "synthetic", "--detector", "none", "--k", 3, "--json",
        "-o", tmp_path / "strip.svg",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    (face,) = json.loads(found.stdout)
    assert (face["face"], len(face["neighbours"])) == ("face.png", 3)
    nearest = {"row": 33, "label": faces.label_set.names[faces.labels[33]], "distance": pytest.approx(0, abs=1e-4)}
    assert face["neighbours"][0] == nearest
    assert (tmp_path / "strip.svg").read_text(encoding="utf-8").count("<image") == 4


@pytest.mark.slow
def test_the_plane_shows_the_searched_and_the_given_faces(call, run, tmp_path):
    imsave(tmp_path / "face.png", np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1)))
    found = call(
        "neighbours", run, tmp_path / "face.png", "--dataset", "synthetic", "--detector", "none",
        "--faces", 60, "--plane", tmp_path / "plane.svg",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    words = (tmp_path / "plane.svg").read_text(encoding="utf-8")
    assert "given face" in words
    assert "features of 60 faces of synthetic train" in words


def test_neighbours_say_what_is_wrong(call, run, tiny_model, tmp_path):
    with pytest.raises(ModelError, match="is not a run folder"):
        call("neighbours", tiny_model, "face.png", "--dataset", "synthetic")
    imsave(tmp_path / "grey.png", np.full((90, 90), 128, dtype=np.uint8), check_contrast=False)
    with pytest.raises(ImageError, match="No faces detected"):
        call("neighbours", run, tmp_path / "grey.png", "--dataset", "synthetic", "--detector", "haar")
    with pytest.raises(ImageError):
        call("neighbours", run, tmp_path / "missing.png", "--dataset", "synthetic")
