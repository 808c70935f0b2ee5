"""A user's own parts work through the command line: by file, by entry point, and from a weights file."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mien.apps.plugin_files import load_plugin_files
from mien.core import plugins
from mien.data import registry as data
from mien.data.options import LoadOptions
from mien.inference.detectors.registry import create_detector
from mien.models import registry
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss
from mien.models.network import Outputs
from mien.models.optimizers.registry import create_optimizer

ROOT = Path(__file__).parents[2]
FILE, RECIPE = ROOT / "examples" / "own_modulator.py", ROOT / "examples" / "own_modulator.toml"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.DOTALL)
SHORT = ("--quiet", "--set", "training.threads=1", "--set", "schedule.epochs=2")


def mien(*words, cwd, check=True, **environment):
    command = [sys.executable, "-m", "mien", *map(str, words)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=240, env={**os.environ, **environment}
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(autouse=True)
def _forget_plugins(monkeypatch):
    monkeypatch.setattr(plugins, "plugin_files", {})


here = pytest.fixture(name="here")(lambda mien: mien)  # the command line in this process


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of the example, trained as its documentation says, for two epochs."""
    work = tmp_path_factory.mktemp("work")
    mien("train", RECIPE, "--plugin", FILE, "--out", "run", *SHORT, cwd=work)
    return work / "run"


@pytest.fixture
def load_block(tmp_path):
    """Load the block of the documentation that contains a text, as a file of the given name."""

    def load(text, name):
        (block,) = (block for block in BLOCKS if text in block)
        (tmp_path / name).write_text(block)
        return load_plugin_files([tmp_path / name])

    return load


def test_documented_network(load_block):
    assert load_block("NETWORKS", "mine.py") == [("network", "narrow_resnet")]
    assert set(registry.create("narrow_resnet").modulators) == {"stage2"}


def test_documented_loss(load_block):
    assert load_block("FocalLoss", "focal.py") == [("loss", "focal")]
    loss = create_loss("focal", Problem((1.0, 1.0), 3), {"gamma": 0.0})
    value = loss(Outputs(torch.zeros(2, 2), torch.zeros(2, 3)), torch.eye(2))
    assert value.item() == pytest.approx(np.log(2))


def test_documented_optimizer(load_block):
    assert load_block("SignDescent", "sign.py") == [("optimizer", "sign")]
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.full((1,), 7.0)
    create_optimizer("sign", [weight], lr=0.1, weight_decay=0).step()
    assert weight.item() == pytest.approx(0.9)


def test_documented_data_set(load_block, tmp_path):
    assert load_block("labels.csv", "listed.py") == [("data set", "listed")]
    folder = tmp_path / "faces"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((60, 50), 90, np.uint8))
    (folder / "labels.csv").write_text("file,label,split\na.png,happy,test\n")
    dataset = data.load("listed", folder, LoadOptions(image_size=32))
    assert dataset.images.shape == (1, 32, 32)
    assert dataset.label_set.names[dataset.labels[0]] == "happy"


def test_documented_detector(load_block):
    assert load_block("Centre", "anything.py") == [("detector", "centre")]
    (face,) = create_detector("centre").detect(np.zeros((40, 80, 3), np.uint8))
    assert (face.box.x, face.box.y, face.box.width, face.box.height) == (20, 10, 40, 20)


def test_documented_test(tmp_path, monkeypatch):
    shutil.copy(FILE, tmp_path)
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in BLOCKS if "def test_" in block)
    names: dict = {}
    exec(block, names)  # noqa: S102 - the documentation's own code
    names["test_own_modulator_after_every_stage"]()


def test_every_python_block_is_tested():
    assert len(BLOCKS) == 6


def test_the_example_trains_and_its_gate_learns(run):
    record = json.loads((run / "record.json").read_text())
    assert record["recipe"]["network"]["modulators"] == {"stage2": {"name": "own_modulator", "hidden": 8}}
    assert record["curves"][-1]["train_loss"] < record["curves"][0]["train_loss"]
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert state["network.modulators.stage2.score.weight"].abs().max() > 0, "it starts as the identity"
    assert not list(FILE.parent.glob("__pycache__")), "nothing is written beside the user's file"


def test_the_model_file_needs_no_plugin(run, here):
    code, out, _ = here("evaluate", run / "model.onnx", "--dataset", "synthetic", "--json", "--out", run / "scores")
    assert code == 0
    record = json.loads((run / "record.json").read_text())
    assert json.loads(out)["accuracy"] == pytest.approx(record["scores"]["accuracy"])


def test_exporting_the_run_needs_the_file_again(run, here):
    code, out, err = here("export", run, "--out", run / "again.onnx")
    assert (code, out) == (1, "")
    assert "No modulator named 'own_modulator'." in err
    assert "needs --plugin FILE" in err
    assert err.count("\n") == 1
    code, out, err = here("export", run, "--plugin", FILE, "--out", run / "again.onnx")
    assert (code, err) == (0, "")
    assert "torch and onnxruntime agree" in out


@pytest.mark.slow
def test_the_same_class_works_by_entry_point_without_the_option(tmp_path):
    shutil.copy(FILE, tmp_path / "someones_parts.py")
    info = tmp_path / "someones_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: someones-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mien.modulators]\nown_modulator = someones_parts:CoordinateGate\n")
    words = (*SHORT, "--set", "schedule.epochs=1")
    mien("train", RECIPE, "--out", "run", *words, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    taken = mien("models", "--plugin", FILE, cwd=tmp_path, check=False, PYTHONPATH=str(tmp_path))
    assert taken.returncode == 1
    assert "own_modulator.py is taken" in taken.stderr


def test_a_run_starts_from_another_runs_checkpoint_and_records_it(run, here, tmp_path):
    checkpoint = run / "checkpoints" / "best.ckpt"
    words = ("train", RECIPE, "--weights", checkpoint, "--out", tmp_path / "plain", *SHORT)
    code, _, err = here(*words, "--set", "schedule.epochs=1", "--ablation", "plain", "--plugin", FILE)
    assert code == 0
    weights = json.loads((tmp_path / "plain" / "record.json").read_text())["weights"]
    assert weights["file"] == "best.ckpt"
    assert weights["notes"][0] == "loaded 102 of the network's 102 tensors from best.ckpt"
    assert "ignored 4 that the network does not have: network.modulators.stage2.mix.weight" in weights["notes"][1]
    assert f"note: {weights['notes'][0]}" in err


def test_weights_that_do_not_fit_are_one_line(here, tmp_path):
    torch.save({"conv1.weight": torch.zeros(12, 1, 5, 5)}, tmp_path / "other.pth")
    words = ("train", "resnet18/synthetic", "--quiet", "--out", tmp_path / "run", "--weights")
    code, _, err = here(*words, tmp_path / "other.pth")
    assert code == 1
    assert "does not fit the network: 99 missing: bn1.weight, " in err
    assert "conv1.weight is (12, 1, 5, 5) instead of (12, 1, 3, 3)" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_networks_of_a_file_are_listed_and_counted(here, tmp_path):
    (tmp_path / "mine.py").write_text(next(block for block in BLOCKS if "NETWORKS" in block))
    code, out, err = here("models", "--json", "--plugin", tmp_path / "mine.py", "--plugin", FILE)
    assert code == 0
    assert err.splitlines() == ["added: network 'narrow_resnet'", "added: modulator 'own_modulator'"]
    entries = {entry["name"]: entry for entry in json.loads(out)}
    parameters = sum(p.numel() for p in registry.create("narrow_resnet").parameters())
    assert entries["narrow_resnet"]["parameters"] == parameters
    assert {"resnet18", "despam"} <= set(entries)


@pytest.mark.parametrize("command", [("train", "resnet18/synthetic"), ("export", "."), ("models",)])
def test_a_file_that_cannot_be_run_is_one_line(here, tmp_path, command):
    (tmp_path / "broken.py").write_text("import nothing_of_the_kind\n")
    for name, words in (("broken.py", "broken.py, line 1 cannot be run"), ("none.py", "No plug-in file")):
        code, out, err = here(*command, "--plugin", tmp_path / name)
        assert (code, out) == (1, "")
        assert err.startswith("error: ")
        assert words in err
        assert err.count("\n") == 1


def test_the_example_starts_as_the_identity_and_depends_on_the_position():
    load_plugin_files([FILE])
    network, plain = (
        registry.create("resnet18", options={"width": 8}, modulators=modulators).eval()
        for modulators in ({"stem": "own_modulator"}, {})
    )
    network.load_state_dict(plain.state_dict(), strict=False)
    images = torch.randn(2, 1, 48, 37)
    torch.testing.assert_close(network(images), plain(images))
    gate = network.modulators["stem"]
    torch.nn.init.normal_(gate.score.weight)
    assert not torch.allclose(network(images), plain(images))
    assert gate(torch.ones(1, 8, 3, 5)).std() > 0
