from __future__ import annotations

import importlib
import sys

import pytest
import torch

from mien.apps.plugin_files import load_plugin_files
from mien.core import plugins
from mien.core.errors import ModelError, RecipeError
from mien.core.plugins import classes_by_file
from mien.models import registry
from mien.models.losses import Problem
from mien.models.losses import registry as losses
from mien.models.modulators import registry as modulators
from mien.models.network import Outputs, Stage
from mien.models.optimizers import registry as optimizers

MODULATOR = """
from mien.models.modulators import Modulator
class Scale(Modulator):
    def __init__(self, stage, *, factor: float = 0.5):
        super().__init__(stage)
        self.factor = factor
    def forward(self, maps):
        return maps * self.factor
"""
LOSS = """
from mien.models.losses import Loss
class Mean(Loss):
    def forward(self, outputs, targets):
        return outputs.logits.mean()
"""
OPTIMIZER = """
import torch
class Still(torch.optim.SGD):
    def step(self, closure=None):
        return closure() if closure else None
"""
NETWORKS = """
from mien.models.backbones.resnet import ResNet
from mien.models.network import NetworkSpec
NETWORKS = (
    NetworkSpec("tiny", ResNet, "Nobody 2026, Nothing", "A narrow one.", (1, 32, 32), {"stage1": "own"}),
    NetworkSpec("tinier", ResNet, "", "", (1, 32, 32)),
)
"""


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(plugins, "plugin_files", {})


@pytest.fixture
def write(tmp_path):
    def make(text, name="own.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make


def test_every_kind_of_part_goes_by_the_files_or_its_own_name(write):
    added = load_plugin_files([write(MODULATOR + LOSS + OPTIMIZER + NETWORKS)])
    assert added == sorted(
        [("modulator", "own"), ("loss", "own"), ("optimizer", "own"), ("network", "tiny"), ("network", "tinier")]
    )
    assert modulators.create_modulator({"name": "own", "factor": 2.0}, Stage("s", 4, 1)).factor == 2.0
    loss = losses.create_loss("own", Problem((1.0,), 1))
    assert loss(Outputs(torch.ones(2, 1), torch.ones(2, 1)), torch.ones(2, 1)) == 1
    weight = torch.nn.Parameter(torch.ones(1))
    assert type(optimizers.create_optimizer("own", [weight], lr=0.1, weight_decay=0)).__name__ == "Still"
    network = registry.create("tiny", options={"width": 8, "stem": "small"})
    assert set(network.modulators) == {"stage1"}
    assert {"tiny", "tinier"} <= set(registry.names())


def test_options_of_an_own_part_are_checked_like_any(write):
    load_plugin_files([write(MODULATOR)])
    with pytest.raises(RecipeError, match=r"No option 'factr' of modulator 'own'\. Did you mean 'factor'"):
        modulators.create_modulator({"name": "own", "factr": 2.0}, Stage("s", 4, 1))


def test_a_file_runs_once_and_leaves_nothing_beside_it(write, tmp_path):
    path = write(MODULATOR + "with open(__file__ + '.ran', 'a') as file:\n    file.write('x')\n")
    assert load_plugin_files([path]) == [("modulator", "own")]
    assert load_plugin_files([path.parent / "." / "own.py"]) == []
    assert (tmp_path / "own.py.ran").read_text() == "x"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["own.py", "own.py.ran"]


def test_two_files_add_up_and_dataclasses_work(write):
    load_plugin_files([write(MODULATOR, "first.py")])
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\n"
    )
    load_plugin_files([write(text + MODULATOR, "second-one.py")])
    assert {"first", "second-one"} <= set(modulators.names())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os\n\ndef f(:\n", ", line 3 cannot be run (SyntaxError: "),
        ("import no_such_package\n", ", line 1 cannot be run (ModuleNotFoundError: No module named 'no_such_package')"),
        ("x = 1\n\ny = x / 0\n", ", line 3 cannot be run (ZeroDivisionError: division by zero)"),
        ("raise SystemExit(3)\n", ", line 1 cannot be run (SystemExit: 3)"),
        ("x = '\0'\n", "cannot be run"),
        ("", "defines nothing to use"),
        ("from mien.models.modulators.despam import DeSpaM\n", "defines nothing to use"),
        (MODULATOR + MODULATOR.replace("Scale", "Other"), "defines 2 Modulator classes; it must define one"),
        ("NETWORKS = ('tiny',)\n", "NETWORKS of"),
        ("NETWORKS = 3\n", "NETWORKS of"),
        (NETWORKS.replace("tinier", "tiny"), "defines two networks named 'tiny'"),
        (NETWORKS.replace("tinier", "resnet18"), "The network name 'resnet18' of plug-in file"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_leaves_no_trace(write, text, words):
    path = write(text)
    before = registry.names(), modulators.names()
    with pytest.raises(ModelError) as caught:
        load_plugin_files([path])
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (registry.names(), modulators.names()) == before
    path.write_text(MODULATOR)
    assert load_plugin_files([path]) == [("modulator", "own")]


def test_names_that_are_taken_are_refused(write):
    with pytest.raises(ModelError, match=r"modulator name 'despam' of plug-in file .*despam\.py is taken"):
        load_plugin_files([write(MODULATOR, "despam.py")])
    load_plugin_files([write(MODULATOR, "own.py")])
    with pytest.raises(ModelError, match="modulator name 'own' of plug-in file"):
        load_plugin_files([write(MODULATOR, "elsewhere/own.py")])
    assert "own" in modulators.names()


def test_files_of_the_same_name_in_two_folders_keep_their_own_classes(write):
    load_plugin_files([write(MODULATOR, "first/own.py")])
    load_plugin_files([write(LOSS, "second/own.py")])
    for part in (modulators.table().load("own", ModelError), losses.table().load("own", ModelError)):
        assert getattr(sys.modules[part.__module__], part.__name__) is part, "pickle looks classes up this way"


@pytest.mark.parametrize("name", ["none.py", "own.txt", "."])
def test_only_python_files_are_accepted(tmp_path, name):
    (tmp_path / "own.txt").write_text(MODULATOR)
    with pytest.raises(ModelError, match="No plug-in file"):
        load_plugin_files([tmp_path / name])


def test_an_unknown_name_mentions_the_plugin_option():
    with pytest.raises(ModelError, match=r"No modulator named 'own'.* One from a file of your own needs --plugin FILE"):
        modulators.create_modulator("own", Stage("s", 4, 1))


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """Return a function that makes a package of the given files."""

    def make(**files: str):
        name = f"package_{abs(hash(request.node.name))}"
        (tmp_path / name).mkdir()
        for file, text in {"__init__": "", "registry": "1 / 0", **files}.items():
            (tmp_path / name / f"{file}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    return make


def test_a_file_of_a_package_is_its_one_class(package):
    first = "from builtins import KeyError\nclass First(ValueError): ..."  # imported classes do not count
    found = classes_by_file(package(b="class Second(ValueError): ...", a=first), ValueError)
    assert {name: part.__name__ for name, part in found.items()} == {"a": "First", "b": "Second"}


@pytest.mark.parametrize("text", ["", "class A(ValueError): ...\nclass B(ValueError): ..."])
def test_a_file_of_a_package_with_no_class_or_two_is_an_error(package, text):
    with pytest.raises(ModelError, match=r"\.odd defines [02] ValueError classes; it must define one"):
        classes_by_file(package(odd=text), ValueError)
