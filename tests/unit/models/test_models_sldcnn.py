from __future__ import annotations

import pytest
import torch

from mien.core.errors import ModelError, RecipeError
from mien.models import registry
from mien.models.complexity import count_macs, count_parameters
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss
from mien.models.modulators.registry import create_modulator
from mien.models.network import Outputs, Stage

STAGE = Stage("stage2", 16, 8)
# What the docstring of the dense net, and docs/papers/sldcnn.md, list.
SIZES = {12: (274_179, 287_507), 20: (725_792, 739_120), 32: (1_773_035, 1_786_363), 44: (3_265_871, 3_279_199)}


@pytest.mark.parametrize("depth", SIZES)
def test_listed_sizes(depth):
    for channels, wanted in zip((1, 3), SIZES[depth], strict=True):
        network = registry.create("sldcnn", in_channels=channels, options={"depth": depth})
        assert count_parameters(network) == wanted
        if depth == 32:
            assert abs(wanted / 1.78e6 - 1) < 0.005


def test_listed_sizes_of_the_ablations():
    assert count_parameters(registry.create("ldcnn")) == 1_772_611
    assert count_parameters(registry.create("cldcnn")) == 2_089_639
    plain = {"composite": "plain", "growth": 24, "compression": 0.75, "stem_channels": 32}
    assert count_parameters(registry.create("sldcnn", options=plain)) == 1_781_579
    assert count_macs(registry.create("sldcnn"), 224, 1) == 1_742_327_489


def test_a_spatial_unit_costs_one_kernel_and_one_weight_a_part():
    network = registry.create("sldcnn")
    assert set(network.modulators) == {"stage1", "stage2", "stage3", "stage4"}
    for name, unit in network.modulators.items():
        assert count_parameters(unit) == 2 * 7 * 7 + 8
        assert unit.parts == network.stage(name).parts


def test_spatial_unit_strengthens_and_never_weakens():
    unit = create_modulator("sldcnn_spatial", Stage("stage1", 10, 4, parts=(4, 3, 3)))
    maps = torch.rand(2, 10, 6, 5)
    mask = unit.mask(maps)
    assert mask.shape == (2, 1, 6, 5)
    assert 0 < mask.min() < mask.max() < 1
    assert (unit(maps) >= maps).all()
    assert (unit(maps) <= 2 * maps).all()


@pytest.mark.parametrize("name", ["se", "cbam", "gam", "sldcnn_channel"])
def test_weights_never_add(name):
    modulator = create_modulator(name, STAGE).eval()
    maps = torch.randn(2, 16, 6, 5)
    assert (modulator(maps).abs() <= maps.abs()).all()
    assert (modulator(torch.zeros(1, 16, 6, 5)) == 0).all()


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("se", {}, 2 * 64 * 4),
        ("se", {"use_bias": True}, 2 * 64 * 4 + 68),
        ("sldcnn_channel", {}, 2 * 64 * 4),
        ("sldcnn_channel", {"use_fixed_width": True}, 2 * 64 * 16),
        ("cbam", {}, 2 * 64 * 4 + 98),
        ("cbam", {"version": "released"}, 2 * 64 * 4 + 68 + 98 + 2),
        ("gam", {}, 2 * 64 * 16 + 80 + 2 * 64 * 16 * 49 + 80 + 2 * 80),
        ("gam", {"groups": 4}, 2 * 64 * 16 + 80 + 2 * 64 * 16 * 49 // 4 + 80 + 2 * 80),
        ("sldcnn_spatial", {}, 98 + 1),
        ("sldcnn_spatial", {"maps": 3, "kernel": 3}, 54 + 3),
    ],
)
def test_sizes_of_the_modulators(name, options, wanted):
    assert count_parameters(create_modulator({"name": name, **options}, Stage("stage1", 64, 4))) == wanted


@pytest.mark.parametrize(
    "choice",
    [
        {"name": "se", "reduction": 17},
        {"name": "se", "reduction": 0},
        {"name": "sldcnn_channel", "reduction": 17},
        {"name": "cbam", "kernel": 2},
        {"name": "cbam", "order": "backwards"},
        {"name": "cbam", "version": "new"},
        {"name": "gam", "kernel": 4},
        {"name": "gam", "groups": 3},
        {"name": "gam", "groups": 0},
        {"name": "sldcnn_spatial", "kernel": 6},
        {"name": "sldcnn_spatial", "dilation": 0},
        {"name": "sldcnn_spatial", "maps": 0},
    ],
)
def test_options_that_do_not_fit_are_refused(choice):
    with pytest.raises(RecipeError, match=r"(is|are) .*\d|expected one of"):
        create_modulator(choice, STAGE)


def test_parts_that_are_not_the_stage_are_refused():
    with pytest.raises(RecipeError, match="parts of 9 and 10 channels"):
        create_modulator("sldcnn_spatial", Stage("stage1", 10, 4, parts=(4, 5)))


def test_penalty_is_made_by_name_and_refuses_what_does_not_fit():
    problem = Problem((1.0,) * 3, 4)
    loss = create_loss("intra_class_distance", problem, {"momentum": 0.5})
    assert {"centres.centres", "centres.seen"} == set(loss.state_dict())
    with pytest.raises(RecipeError, match="momentum is 0"):
        create_loss("intra_class_distance", problem, {"momentum": 0.0})
    with pytest.raises(ModelError, match="images, classes"):
        loss(Outputs(torch.zeros(2, 3), torch.zeros(2, 4)), torch.zeros(2, 4))


def test_penalty_of_sixteen_bit_features_is_computed_in_float32():
    loss = create_loss("intra_class_distance", Problem((1.0,) * 2, 4)).train()
    features = (300 * torch.randn(4, 4)).to(torch.float16).requires_grad_()
    value = loss(Outputs(torch.zeros(4, 2), features), torch.eye(2).repeat(2, 1))
    assert value.dtype == torch.float32
    assert value.isfinite()
