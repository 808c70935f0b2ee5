"""Two CPU processes train like one with the same global batch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

# Without batch norms: CPU processes each normalize by their own share of a batch, so only such a network can agree.
PLUGIN = """
from torch import nn

from mien.models.network import Network, NetworkSpec, Stage


class Plain(Network):
    def __init__(self, *, num_classes: int = 7, in_channels: int = 1) -> None:
        stages = [Stage("stage1", 8, 2)]
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=8)
        self.stage1 = nn.Sequential(nn.Conv2d(in_channels, 8, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(8, num_classes)

    def run_stage(self, name, maps):
        return self.stage1(maps)

    def classify(self, features):
        return self.fc(features)


NETWORKS = (NetworkSpec(name="plain", build=Plain, paper="", summary="", input=(1, 48, 48)),)
"""
RECIPE = """
name = "plain"
[data]
dataset = "synthetic"
[network]
name = "plain"
[loss]
name = "total"
options.terms = { weighted_cross_entropy = 1.0, intra_class_distance = 0.01 }
[optimizer]
lr = 0.1
[schedule]
epochs = 2
[augmentation]
flip = 0
[training]
batch_size = 32
threads = 1
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    (tmp_path / "plain.py").write_text(PLUGIN)
    (tmp_path / "plain.toml").write_text(RECIPE)

    def train(folder, *settings):
        words = [word for setting in settings for word in ("--set", setting)]
        command = ["train", "plain.toml", "--plugin", "plain.py", "--quiet", "--out", folder, *words]
        subprocess.run(
            [sys.executable, "-m", "mien", *command], cwd=tmp_path, check=True, capture_output=True, timeout=200
        )
        record = json.loads((tmp_path / folder / "record.json").read_text())
        state = torch.load(tmp_path / folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        return record, state

    record, weights = train("one")
    shared_record, shared_weights = train("two", "training.devices=2")
    assert shared_record["scores"]["n"] == record["scores"]["n"]
    assert len(shared_record["curves"]) == 2
    for name, weight in weights.items():
        torch.testing.assert_close(shared_weights[name], weight, rtol=1e-3, atol=5e-5)
    for point, shared_point in zip(record["curves"], shared_record["curves"], strict=True):
        assert shared_point["train_loss"] == pytest.approx(point["train_loss"], rel=1e-3)
        assert shared_point["validation_loss"] == pytest.approx(point["validation_loss"], rel=1e-3)
