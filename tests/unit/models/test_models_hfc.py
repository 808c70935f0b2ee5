from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
import torch
from torch import nn

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.complexity import count_macs, count_parameters
from mien.models.modulators.bam import BAM
from mien.models.modulators.hfc import HFC
from mien.models.network import Stage
from mien.recipes import load_recipe

RECIPES = ("hfc/fer2013", "hfc/jaffe", "hfc/ckplus")
QUERIES = ("lfc", "both", "both_hl")


def made(name: str, in_channels: int = 1):
    with torch.device("meta"):
        return registry.create(name, in_channels=in_channels)


@pytest.mark.parametrize(("backbone", "hfc", "bam"), [("resnet18", 708, 23_808), ("mobilenet_v2", 767, 11_192)])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_published_sizes_to_the_unit(backbone, hfc, bam, in_channels):
    plain = count_parameters(made(backbone, in_channels))
    assert count_parameters(made(f"{backbone}_hfc", in_channels)) == plain + hfc
    assert count_parameters(made(f"{backbone}_bam", in_channels)) == plain + bam


def test_modules_stand_between_every_two_big_blocks():
    resnet, mobilenet = made("resnet18_hfc"), made("mobilenet_v2_hfc")
    assert [resnet.stage(name).channels for name in resnet.modulators] == [64, 64, 128, 256]
    assert [mobilenet.stage(name).channels for name in mobilenet.modulators] == [32, 16, 24, 32, 64, 96, 160]
    for network in (resnet, mobilenet):
        assert list(network.modulators) == list(network.stage_names[:-1])


def test_the_papers_bam_has_no_batch_norm():
    network = made("resnet18_bam")
    modules = list(network.modulators.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in modules)
    assert any(isinstance(module, nn.BatchNorm2d) for module in BAM(Stage("stem", 64, 4)).modules())


def test_cost_over_the_plain_backbone():
    plain, hfc = (count_macs(made(name), 224, 1) for name in ("resnet18", "resnet18_hfc"))
    # a 1 x 1 convolution to one channel and a 7 x 7 one after each of four maps
    assert hfc - plain == sum(
        side**2 * (channels + 49) for side, channels in ((56, 64), (56, 64), (28, 128), (14, 256))
    )


@pytest.mark.parametrize(("query", "maps"), [("hfc", 1), ("lfc", 1), ("both", 2), ("both_hl", 3)])
def test_each_query_adds_one_map_of_scores(query, maps):
    modulator = HFC(Stage("stage1", 16, 4), query=query)
    assert count_parameters(modulator) == 16 + 49 * maps
    assert modulator.correlation(torch.randn(2, 16, 6, 5)).shape == (2, maps, 6, 5)
    gate = modulator.gate(torch.randn(2, 16, 6, 5))
    assert gate.shape == (2, 1, 6, 5)
    assert 0 < gate.min() <= gate.max() < 1


def test_scores_fall_along_both_axes():
    scores = HFC(Stage("stage1", 4, 4)).correlation(torch.randn(3, 4, 9, 7))
    assert (scores.diff(dim=2) <= 1e-5).all()
    assert (scores.diff(dim=3) <= 1e-5).all()


def test_sixteen_bit_training_keeps_the_scores_in_thirty_two():
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


@pytest.mark.parametrize(
    ("modulator", "options"),
    [
        (HFC, {"cutoff": -0.1}),
        (HFC, {"cutoff": 1.0}),
        (HFC, {"kernel": 4}),
        (HFC, {"kernel": 0}),
        (BAM, {"reduction": 0}),
        (BAM, {"reduction": 17}),
        (BAM, {"dilation": 0}),
    ],
)
def test_options_that_do_not_fit_are_refused(modulator, options):
    with pytest.raises(ValueError, match="is"):
        modulator(Stage("stage2", 16, 4), **options)


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
