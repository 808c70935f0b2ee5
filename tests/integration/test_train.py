"""`mien train`: a data set from a plug-in file that needs no path, and a crop of the recipe's own."""

import json

import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.apps.data_sets import load_faces
from mien.data import registry
from mien.data.options import LoadOptions
from mien.inference.model import OnnxModel

pytestmark = pytest.mark.usefixtures("torch_threads")

STRIPES = """
import numpy as np

from mien.core.expressions import FER2013_LABELS
from mien.core.image import crop_face, resize_face
from mien.core.types import Box
from mien.data.dataset import FaceDataset

EXPECTS = "nothing: stripes are drawn"
NEEDS_PATH = False


def matches(path):
    return False


def load(path, options):
    labels = np.arange(84) % 7
    stripes = (np.outer(np.arange(1, 8), np.arange(90)) % 256).astype(np.uint8)[:, :, None].repeat(90, axis=2)
    crops = [crop_face(stripes[label], Box(20, 20, 50, 50), options.crop) for label in labels]
    images = np.stack([resize_face(crop, options.image_size, options.channels) for crop in crops])
    splits = np.where(np.arange(84) < 56, "train", "validation")
    return FaceDataset("stripes", images, labels, splits, FER2013_LABELS)
"""


def test_a_data_set_without_files_trains_without_a_path_on_the_crop_in_the_card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mien.core.plugins.plugin_files", {})
    (tmp_path / "stripes.py").write_text(STRIPES)
    settings = ("data.dataset=stripes", "schedule.epochs=1", "training.batch_size=28", "network.options.width=4")
    words = [word for setting in (*settings, "crop.scale=1.2") for word in ("--set", setting)]
    done = CliRunner().invoke(app, ["train", "resnet18/synthetic", "--plugin", "stripes.py", *words, "--quiet"])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "runs" / "resnet18-synthetic"
    trained = json.loads((folder / "record.json").read_text())["data"]
    assert trained["name"] == "stripes"
    model = OnnxModel.load(folder / "model.onnx")
    assert (model.card.crop.scale, model.card.crop.shift_x) == (1.2, 0)
    assert trained["fingerprint"] == load_faces(model, None, "stripes").fingerprint
    assert trained["fingerprint"] != registry.load("stripes", None, LoadOptions()).fingerprint
    shown = CliRunner().invoke(app, ["train", "resnet18/fer2013", "--out", "other"])
    assert "name it with --data" in str(shown.exception)
