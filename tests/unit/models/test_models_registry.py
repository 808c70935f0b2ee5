from __future__ import annotations

import sys

import pytest
import torch

from mien.core.errors import ModelError, RecipeError
from mien.models import registry
from mien.models.modulators.despam import DeSpaM
from mien.models.modulators.registry import create_modulator
from mien.models.modulators.registry import names as modulator_names
from mien.models.network import Stage

SMALL = {"width": 8, "stem": "small"}

PLUGIN = """
from mien.models.backbones.resnet import ResNet
from mien.models.modulators import Modulator
from mien.models.network import NetworkSpec

class Halve(Modulator):
    smallest_map = 9
    def __init__(self, stage, *, factor: float = 0.5):
        super().__init__(stage)
        self.factor = factor
    def forward(self, maps):
        return maps * self.factor

TINY = NetworkSpec("tiny", ResNet, "", "", (1, 32, 32), {"stage1": "halve"})
MISNAMED = NetworkSpec("other", ResNet, "", "", (1, 32, 32))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a fake distribution with the given entry points."""

    def write(entry_points: str) -> None:
        (tmp_path / "outside_parts.py").write_text(PLUGIN)
        info = tmp_path / "outside_parts-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-parts\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "outside_parts", raising=False)

    return write


def test_names_are_sorted_and_hold_the_built_in_networks():
    assert registry.names() == sorted(registry.names())
    assert {"despam", "resnet18", "resnet34"} <= set(registry.names())
    assert "despam" in modulator_names()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": "despan"}, ModelError, "Did you mean 'despam'? Known: cldcnn, "),
        ({"name": "resnet18", "num_classes": 0}, ModelError, "0 classes"),
        ({"name": "resnet18", "modulators": {"stage9": "despam"}}, ModelError, "Stages: stem, stage1, stage2"),
        ({"name": "resnet18", "modulators": {"stage1": "despa"}}, ModelError, "Did you mean 'despam'? Known:"),
        ({"name": "resnet18", "modulators": {"stage1": {"dropout": 0.1}}}, RecipeError, "has no name"),
    ],
)
def test_bad_input_is_one_line_that_lists_the_valid_names(arguments, error, words):
    with pytest.raises(error) as caught:
        registry.create(**arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_modulator_follows_its_stage_with_its_options():
    plain = registry.create("resnet18", options=SMALL)
    choice = {"name": "despam", "reduction": 4}
    network = registry.create("resnet18", options=SMALL, modulators={"stage2": choice})
    assert choice == {"name": "despam", "reduction": 4}
    modulator = network.modulators["stage2"]
    assert isinstance(modulator, DeSpaM)
    assert modulator.stage == Stage("stage2", 16, 4)
    assert modulator.score.in_channels == 4
    assert set(network.state_dict()) - set(plain.state_dict()) == {
        f"modulators.stage2.{key}" for key in modulator.state_dict()
    }


def test_a_papers_own_modulator_can_be_replaced_and_removed():
    assert set(registry.create("despam").modulators) == {"stage2"}
    assert not registry.create("despam", modulators={"stage2": "none"}).modulators
    moved = registry.create("despam", modulators={"stage2": "none", "stage1": "despam"})
    assert set(moved.modulators) == {"stage1"}
    assert create_modulator("none", Stage("stem", 8, 2)) is None


def test_packages_add_networks_and_modulators_by_entry_point(install):
    install("[mien.networks]\ntiny = outside_parts:TINY\n[mien.modulators]\nhalve = outside_parts:Halve\n")
    assert "tiny" in registry.names()
    network = registry.create("tiny", options=SMALL, modulators={"stage2": {"name": "halve", "factor": 0.1}})
    assert network.modulators["stage1"].factor == 0.5
    assert network.modulators["stage2"].factor == 0.1
    # 9 positions at stride 4.
    assert network.smallest_input == 36
    with pytest.raises(ModelError, match="of 35 x 40 pixels; the smallest input is 36 x 36"):
        network(torch.zeros(1, 1, 35, 40))


@pytest.mark.parametrize(
    ("entry_points", "name", "words"),
    [
        (
            "[mien.networks]\ndespam = outside_parts:TINY\n",
            "resnet18",
            "'despam' of plug-in outside_parts:TINY is taken",
        ),
        ("[mien.networks]\ntiny = outside_parts:NONE\n", "tiny", "cannot be loaded (AttributeError"),
        ("[mien.networks]\ntiny = outside_parts:Halve\n", "tiny", "must be a NetworkSpec"),
        ("[mien.networks]\ntiny = outside_parts:MISNAMED\n", "tiny", "calls it 'other'"),
    ],
)
def test_an_invalid_plugin_is_named(install, entry_points, name, words):
    install(entry_points)
    with pytest.raises(ModelError) as caught:
        registry.create(name)
    assert words in str(caught.value)


def test_a_broken_plugin_leaves_the_others_alone(install):
    install("[mien.networks]\ntiny = no_such_module:TINY\n")
    assert registry.create("resnet18", options=SMALL).stage_names == (
        "stem",
        "stage1",
        "stage2",
        "stage3",
        "stage4",
    )
