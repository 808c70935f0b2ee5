from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.complexity import count_macs, count_parameters


def test_parameters_of_a_layer_and_shared_tensors_once():
    layer = nn.Conv2d(3, 5, 3)
    assert count_parameters(layer) == 5 * 3 * 9 + 5
    assert count_parameters(nn.ModuleList([layer, layer])) == 140


def test_macs_by_hand():
    options = {"depths": [1], "multipliers": [1], "strides": [1], "width": 2, "stem": "small"}
    network = registry.create("resnet18", num_classes=3, options=options)
    # Stem 2x1x9, two convolutions 2x2x9, all on a 4x6 map of an 8x12 image; linear 2x3.
    assert count_macs(network, (8, 12), 1) == 24 * (18 + 36 + 36) + 6


def test_macs_of_the_published_networks():
    despam = registry.create("despam", in_channels=3).folded()
    assert count_macs(despam, 112, 3) == pytest.approx(0.641e9, rel=1e-3)
    resnet = registry.create("resnet18", num_classes=1000, in_channels=3)
    assert count_macs(resnet, 224, 3) == pytest.approx(1.814e9, rel=1e-3)


def test_counting_leaves_the_network_as_it_was():
    network = registry.create("resnet18", options={"width": 8}).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count_macs(network, 48, 1)
    assert network.training
    assert network.fc.weight.device.type == "cpu"
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_input_that_does_not_fit_is_told():
    with pytest.raises(ModelError, match="smallest input is 32 x 32"):
        count_macs(registry.create("resnet18", options={"width": 8}), 31, 1)
