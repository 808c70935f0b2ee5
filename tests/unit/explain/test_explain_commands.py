"""`mien faithfulness` and `mien neighbours` as a user calls them, on drawn faces and a tiny network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import typer
from planted_stages import save_run
from skimage.io import imsave
from typer.testing import CliRunner

from mien.apps.faithfulness import faithfulness
from mien.apps.neighbours import neighbours
from mien.core.errors import DataError, ImageError, ModelError

app = typer.Typer()
for command in (faithfulness, neighbours):
    app.command()(command)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder whose network has not learned anything."""
    network = {"name": "resnet18", "input_size": 32, "channels": 1, "options": {"width": 4, "stem": "small"}}
    return save_run(tmp_path_factory.mktemp("run") / "tiny", network)


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
    about = [record[key] for key in ("model", "dataset", "split", "n")]
    assert about == ["tiny", "synthetic", "validation", 6]
    assert len(record["rows"]) == len(set(record["rows"])) == 6
    assert record["regions"]["from"] == {"mean face": 6}
    method = record["methods"]["gradcam"]
    assert len(method["insertion"]["areas"]) == 6
    assert method["layer"] == "stage4"
    assert [stop["share"] for stop in method["sanity"]["stops"]][-1] == 1
    kept = json.loads((run / "record.json").read_text())["explanations"]["synthetic validation"]
    assert kept == printed
    assert "areas" not in kept["methods"]["gradcam"]["insertion"]
    two = measure(call, run, tmp_path / "two.json", "--method", "gradcam", "--layer", "stage2", "--no-sanity")
    assert "gradcam@stage2" in two.stdout
    kept = json.loads((run / "record.json").read_text())["explanations"]["synthetic validation"]["methods"]
    assert (list(kept), "sanity" in kept["gradcam@stage2"]) == (["gradcam", "gradcam@stage2"], False)


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
        (("--split", "test"), DataError, "Splits with images"),
        (("--detector", "yunt"), ModelError, "Did you mean 'yunet'"),
        (("-o", "missing/one.json"), DataError, "create it first"),
    ],
)
def test_faithfulness_says_what_is_wrong(call, run, tmp_path, words, error, said):  # noqa: PLR0917
    with pytest.raises(error, match=said):
        measure(call, run, tmp_path / "one.json", *words)
    assert not (tmp_path / "one.json").exists()


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


def test_neighbours_say_what_is_wrong(call, run, tiny_model, tmp_path):
    with pytest.raises(ModelError, match="is not a run folder"):
        call("neighbours", tiny_model, "face.png", "--dataset", "synthetic")
    imsave(tmp_path / "grey.png", np.full((90, 90), 128, dtype=np.uint8), check_contrast=False)
    with pytest.raises(ImageError, match="No faces detected"):
        call("neighbours", run, tmp_path / "grey.png", "--dataset", "synthetic", "--detector", "haar")
