from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
import torch

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.complexity import count_parameters
from mien.models.modulators.hfc import HFC
from mien.models.network import Stage
from mien.recipes import load_recipe

RECIPES = ("hfc/fer2013", "hfc/jaffe", "hfc/ckplus")
QUERIES = ("lfc", "both", "both_hl")


def made(name: str, in_channels: int = 1):
    with torch.device("meta"):
        return registry.create(name, in_channels=in_channels)


def test_modules_are_between_every_two_big_blocks():
    resnet, mobilenet = made("resnet18_hfc"), made("mobilenet_v2_hfc")
    assert [resnet.stage(name).channels for name in resnet.modulators] == [64, 64, 128, 256]
    assert [mobilenet.stage(name).channels for name in mobilenet.modulators] == [32, 16, 24, 32, 64, 96, 160]
    for network in (resnet, mobilenet):
        assert list(network.modulators) == list(network.stage_names[:-1])


def test_scores_decrease_along_both_axes():
    scores = HFC(Stage("stage1", 4, 4)).correlation(torch.randn(3, 4, 9, 7))
    assert (scores.diff(dim=2) <= 1e-5).all()
    assert (scores.diff(dim=3) <= 1e-5).all()


def test_scores_stay_in_32_bits_in_16_bit_training():
    modulator = HFC(Stage("stage1", 8, 4)).eval()
    maps = 40 * torch.randn(2, 8, 12, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gate = modulator.gate(maps)
        assert modulator(maps.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(gate, modulator.gate(maps))


@pytest.mark.parametrize("size", [(1, 1), (1, 8), (8, 1)])
def test_a_map_without_high_frequencies_is_refused(size):
    with pytest.raises(ModelError, match=r"the smallest is 2 x 2"):
        HFC(Stage("stage1", 8, 4))(torch.randn(1, 8, *size))


def test_a_modulator_after_the_last_stage_raises_the_smallest_input():
    assert made("resnet18_hfc").smallest_input == 32
    assert registry.create("resnet18", modulators={"stage4": "hfc"}).smallest_input == 64


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_the_papers_settings(name):
    recipe = load_recipe(name)
    assert (recipe.network.name, recipe.network.input_size, recipe.network.channels) == ("resnet18_hfc", 224, 1)
    assert recipe.training.batch_size == {"hfc/fer2013": 32, "hfc/jaffe": 8, "hfc/ckplus": 16}[name]
    assert recipe.optimizer.lr == 1e-4
    schedule = recipe.schedule
    assert (schedule.name, schedule.epochs) == ("plateau", 100)
    assert (schedule.plateau_factor, schedule.plateau_patience) == (0.3, 5)
    places = ("stem", "stage1", "stage2", "stage3")
    for query in QUERIES:
        modulators = load_recipe(name, ablation=f"query_{query}").network.modulators
        assert modulators == {name: {"name": "hfc", "query": query} for name in places}


@pytest.mark.parametrize("name", RECIPES)
def test_every_ablation_makes_a_network(name):
    content = tomllib.loads((files("mien") / "recipes" / f"{name}.toml").read_text(encoding="utf-8"))
    for ablation in content["ablation"]:
        recipe = load_recipe(name, ablation=ablation)
        with torch.device("meta"):
            network = registry.create(recipe.network.name, modulators=recipe.network.modulators)
        assert count_parameters(network) > 2_000_000
        is_small = recipe.network.name.startswith("mobilenet") and name != "hfc/fer2013"
        assert recipe.optimizer.lr == (1e-3 if is_small else 1e-4)
