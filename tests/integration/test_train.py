"""`mien train`: a data set from a plug-in file that needs no path, and a crop of its own."""

import json

import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.inference.model import OnnxModel

pytestmark = pytest.mark.usefixtures("torch_threads")

STRIPES = """
import numpy as np

from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset

EXPECTS = "nothing: stripes are drawn"
NEEDS_PATH = False


def matches(path):
    return False


def load(path, options):
    labels = np.arange(84) % 7
    rows = np.arange(options.image_size)[None, :, None] * (labels[:, None, None] + 1)
    images = np.broadcast_to(rows % 256, (84, options.image_size, options.image_size)).astype(np.uint8)
    splits = np.where(np.arange(84) < 56, "train", "validation")
    return FaceDataset("stripes", images, labels, splits, FER2013_LABELS)
"""


def test_a_data_set_without_files_trains_without_a_path_and_the_crop_is_in_the_card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mien.core.plugins.plugin_files", {})
    (tmp_path / "stripes.py").write_text(STRIPES)
    settings = ("data.dataset=stripes", "schedule.epochs=1", "training.batch_size=28", "network.options.width=4")
    words = [word for setting in (*settings, "crop.scale=1.2") for word in ("--set", setting)]
    done = CliRunner().invoke(app, ["train", "resnet18/synthetic", "--plugin", "stripes.py", *words, "--quiet"])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "runs" / "resnet18-synthetic"
    crop = OnnxModel.load(folder / "model.onnx").card.crop
    assert (crop.scale, crop.shift_x) == (1.2, 0)
    assert json.loads((folder / "record.json").read_text())["data"]["name"] == "stripes"
    shown = CliRunner().invoke(app, ["train", "resnet18/fer2013", "--out", "other"])
    assert "name its folder with --data" in str(shown.exception)
