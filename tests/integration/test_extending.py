"""What a user adds from outside works through the command line: by file, by entry point, and from a weights file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mien.apps.plugin_files import load_plugin_files
from mien.core import plugins
from mien.inference.model import OnnxModel
from mien.models import registry

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE, RECIPE = EXAMPLES / "own_modulator.py", EXAMPLES / "own_modulator.toml"
SHORT = ("--quiet", "--set", "training.threads=1", "--set", "schedule.epochs=2")


def mien(*words, cwd, check=True, **environment):
    command = [sys.executable, "-m", "mien", *map(str, words)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=240, env={**os.environ, **environment}
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture
def here(monkeypatch, mien):
    """Run the command line in this process, and forget what it loads: (exit code, standard output, standard error)."""
    monkeypatch.setattr(plugins, "plugin_files", {})
    return mien


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of the example, trained as its documentation says, for two epochs."""
    work = tmp_path_factory.mktemp("work")
    mien("train", RECIPE, "--plugin", FILE, "--out", "run", *SHORT, cwd=work)
    return work / "run"


def test_the_example_trains_and_its_gate_learns(run):
    record = json.loads((run / "record.json").read_text())
    assert record["recipe"]["network"]["modulators"] == {"stage2": {"name": "own_modulator", "hidden": 8}}
    assert record["curves"][-1]["train_loss"] < record["curves"][0]["train_loss"]
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert state["network.modulators.stage2.score.weight"].abs().max() > 0, "it starts as the identity"
    assert not list(EXAMPLES.glob("__pycache__")), "nothing is written beside the user's file"


def test_the_model_file_needs_no_plugin(run, here):
    assert OnnxModel.load(run / "model.onnx").card.network == "resnet18"
    code, out, _ = here("evaluate", run / "model.onnx", "--dataset", "synthetic", "--json", "--out", run / "scores")
    assert code == 0
    record = json.loads((run / "record.json").read_text())
    assert json.loads(out)["accuracy"] == pytest.approx(record["scores"]["accuracy"])


def test_exporting_the_run_needs_the_file_again_and_says_so(run, here):
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


def test_a_run_starts_from_anothers_checkpoint_and_records_it(run, here, tmp_path):
    checkpoint = run / "checkpoints" / "best.ckpt"
    words = ("train", RECIPE, "--weights", checkpoint, "--out", tmp_path / "plain", *SHORT)
    code, _, err = here(*words, "--set", "schedule.epochs=1", "--ablation", "plain", "--plugin", FILE)
    assert code == 0
    weights = json.loads((tmp_path / "plain" / "record.json").read_text())["weights"]
    assert weights["file"] == "best.ckpt"
    assert weights["notes"][0] == "loaded 122 of the network's 122 tensors from best.ckpt"
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


NETWORKS = """
from functools import partial
from mien.models.backbones.resnet import ResNet
from mien.models.network import NetworkSpec
NETWORKS = (NetworkSpec("narrow", partial(ResNet, width=8), "Nobody 2026, Nothing", "Narrow.", (1, 32, 32)),)
"""


def test_networks_of_a_file_are_listed_and_counted(here, tmp_path):
    (tmp_path / "mine.py").write_text(NETWORKS)
    code, out, err = here("models", "--json", "--plugin", tmp_path / "mine.py", "--plugin", FILE)
    assert code == 0
    assert err.splitlines() == ["added: network 'narrow'", "added: modulator 'own_modulator'"]
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert entries["narrow"]["parameters"] == sum(p.numel() for p in registry.create("narrow").parameters())
    assert {"narrow", "resnet18", "despam"} <= set(entries)


@pytest.mark.parametrize("command", [("train", "resnet18/synthetic"), ("export", "."), ("models",)])
def test_a_file_that_cannot_be_run_is_one_line(here, tmp_path, command):
    (tmp_path / "broken.py").write_text("import nothing_of_the_kind\n")
    for name, words in (("broken.py", "broken.py, line 1 cannot be run"), ("none.py", "No plug-in file")):
        code, out, err = here(*command, "--plugin", tmp_path / name)
        assert (code, out) == (1, "")
        assert err.startswith("error: ")
        assert words in err
        assert err.count("\n") == 1


def test_the_example_goes_after_any_stage_and_folds(monkeypatch):
    monkeypatch.setattr(plugins, "plugin_files", {})
    load_plugin_files([FILE])
    torch.manual_seed(0)
    names = registry.create("resnet18").stage_names
    modulators = dict.fromkeys(names, "own_modulator")
    network = registry.create("resnet18", options={"width": 8}, modulators=modulators).eval()
    plain = registry.create("resnet18", options={"width": 8}).eval()
    network.load_state_dict(plain.state_dict(), strict=False)
    images = torch.randn(2, 1, 48, 37)
    with torch.no_grad():
        torch.testing.assert_close(network(images), plain(images))  # it starts as the identity
        for name in names:
            torch.nn.init.normal_(network.modulators[name].score.weight)
        assert not torch.allclose(network(images), plain(images))
        torch.testing.assert_close(network.folded()(images), network(images), rtol=1e-4, atol=1e-5)
        maps = torch.zeros(1, 8, 3, 5)
        gate = network.modulators["stem"]
        assert gate(maps + 1).std() > 0, "positions differ although the map is flat"
