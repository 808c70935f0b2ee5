from __future__ import annotations

import pytest
import torch

from mien.models import registry
from mien.models.complexity import count_parameters
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss
from mien.models.modulators.registry import create_modulator
from mien.models.network import Outputs, Stage

STAGE = Stage("stage2", 16, 8)
# What the docstring of the dense net, and docs/papers/sldcnn.md, list.


def test_a_spatial_unit_has_one_kernel_and_one_weight_per_part():
    network = registry.create("sldcnn")
    assert set(network.modulators) == {"stage1", "stage2", "stage3", "stage4"}
    for name, unit in network.modulators.items():
        assert count_parameters(unit) == 2 * 7 * 7 + 8
        assert unit.parts == network.stage(name).parts


def test_spatial_unit_only_amplifies():
    unit = create_modulator("sldcnn_spatial", Stage("stage1", 10, 4, parts=(4, 3, 3)))
    maps = torch.rand(2, 10, 6, 5)
    mask = unit.mask(maps)
    assert mask.shape == (2, 1, 6, 5)
    assert 0 < mask.min() < mask.max() < 1
    assert (unit(maps) >= maps).all()
    assert (unit(maps) <= 2 * maps).all()


@pytest.mark.parametrize("name", ["se", "cbam", "gam", "sldcnn_channel"])
def test_weights_only_attenuate(name):
    modulator = create_modulator(name, STAGE).eval()
    maps = torch.randn(2, 16, 6, 5)
    assert (modulator(maps).abs() <= maps.abs()).all()
    assert (modulator(torch.zeros(1, 16, 6, 5)) == 0).all()


def test_penalty_of_sixteen_bit_features_is_computed_in_float32():
    loss = create_loss("intra_class_distance", Problem((1.0,) * 2, 4)).train()
    features = (300 * torch.randn(4, 4)).to(torch.float16).requires_grad_()
    value = loss(Outputs(torch.zeros(4, 2), features), torch.eye(2).repeat(2, 1))
    assert value.dtype == torch.float32
    assert value.isfinite()
