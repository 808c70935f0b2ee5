from __future__ import annotations

import pytest
import torch

from mien.models import registry
from mien.models.complexity import count_parameters
from mien.recipes import load_recipe, names
from mien.training.run import create_network

RECIPES = [name for name in names() if name.startswith("daf_mhsca/")]
ROWS = {"no_afc", "no_daf", "no_ca", "no_mhsca", "afc_concat", "cross_algorithm", "no_gate", "gate_limit_1"}
ROWS |= {f"heads_{n}" for n in (1, 2, 4, 8, 16)}
ROWS |= {f"theta_{n // 10}_{n % 10}" for n in range(1, 11)}


def create(**options):
    with torch.device("meta"):
        return registry.create("daf_mhsca", in_channels=3, options=options)


def test_a_plain_resnets_weights_fit_and_the_added_parts_are_named():
    network, plain = create(), registry.create("resnet18", in_channels=3)
    missing = set(network.state_dict()) - set(plain.state_dict())
    assert not set(plain.state_dict()) - set(network.state_dict())
    assert {key.split(".")[0] for key in missing} == {*network.added_names, "modulators"}


def test_outputs_have_one_map_per_head():
    for heads in (1, 3):
        network = registry.create("daf_mhsca", options={"width": 8, "heads": heads}).eval()
        attention = network.outputs(torch.randn(2, 1, 96, 70)).attention
        assert attention.shape == (2, heads, 3, 3)
        assert 0 < attention.min() <= attention.max() < 1
    network = registry.create("daf_mhsca", options={"width": 8, "use_mhsca": False}).eval()
    assert network.outputs(torch.randn(2, 1, 96, 70)).attention is None


def test_without_all_parts_it_is_the_plain_resnet():
    options = {"width": 8, "use_daf": False, "use_mhsca": False}
    network = registry.create("daf_mhsca", options=options, modulators={"stage4": "none"}).eval()
    plain = registry.create("resnet18", options={"width": 8}).eval()
    plain.load_state_dict(network.state_dict())
    images = torch.randn(2, 1, 64, 48)
    assert torch.equal(network(images), plain(images))


def test_height_and_width_are_treated_alike():
    """Exchange the parts of the two directions and transpose the map: the weights are transposed."""
    daf = registry.create("daf_mhsca", options={"width": 4}).eval().directional_attention
    maps = torch.randn(2, 32, 7, 5)
    before = daf(maps)
    height, width = daf.height, daf.width
    for part in (height, width):
        part.across.axis = "width" if part.across.axis == part.axis == "height" else "height"
        part.across.weight.data = part.across.weight.data.transpose(2, 3)
    height.axis, width.axis = "width", "height"
    daf.height, daf.width = width, height
    # the halves of the concatenation change places too
    daf.merge.weight.data = torch.cat(daf.merge.weight.data.chunk(2, dim=1)[::-1], dim=1)
    torch.testing.assert_close(daf(maps.mT), before.mT)


def test_compilation_without_graph_breaks_and_half_precision():
    options = {"width": 8, "heads": 2}
    network = registry.create("daf_mhsca", options=options).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    images = torch.randn(1, 1, 48, 100)  # a map of 2 x 4: everything that can be resized is
    torch.testing.assert_close(compiled(images), network(images), rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    torch.testing.assert_close(logits.float(), network(images), rtol=0.1, atol=0.05)


def test_there_is_a_recipe_for_each_data_set_of_table_2():
    assert {name.split("/")[1] for name in RECIPES} == {"rafdb", "affectnet7", "affectnet8", "fer2013", "ferplus"}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_the_papers_and_every_ablation_is_a_change(name):
    recipe = load_recipe(name)
    assert recipe.schedule.epochs == 40
    assert recipe.optimizer.name == "adam"
    assert recipe.optimizer.lr == (0.1 if name.endswith("rafdb") else 1e-4)
    assert recipe.training.batch_size == (64 if name.endswith("ferplus") else 256)
    assert recipe.loss.options["terms"]["attention_diversity"] == {"weight": 0.3, "alpha": 0.7, "beta": 0.3}
    same = {"heads_4", "theta_0_3"}  # the paper's choices, as rows of its tables
    for row in ROWS | ({"stable_lr"} if name.endswith("rafdb") else set()):
        changed = load_recipe(name, ablation=row)
        assert (changed.model_copy(update={"ablation": ""}) == recipe) == (row in same), row


def test_networks_of_the_ablations_are_those_of_table_4():
    counts = {}
    for row in (None, "no_afc", "no_daf", "no_ca", "no_mhsca"):
        with torch.device("meta"):
            counts[row] = count_parameters(create_network(load_recipe("daf_mhsca/rafdb", ablation=row), 7))
    assert counts == {
        None: 25_020_148,
        "no_afc": 17_643_731,
        "no_daf": 19_230_452,
        "no_ca": 24_886_900,
        "no_mhsca": 24_346_216,
    }
    terms = load_recipe("daf_mhsca/rafdb", ablation="no_mhsca").loss.options["terms"]
    assert terms["attention_diversity"]["weight"] == 0
