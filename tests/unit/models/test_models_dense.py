from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.models.backbones.dense import DenseNet
from mien.models.complexity import count_macs, count_parameters
from mien.models.layers.pre_activation import ScaleShift

SMALL = {"growth": 8, "depth": 12}


def test_stages_of_the_default_net():
    network = DenseNet().eval()
    assert network.stage_names == ("stem", "stage1", "stage2", "stage3", "stage4")
    assert [stage.channels for stage in network.stages] == [136, 612, 782, 867, 909]
    assert [stage.stride for stage in network.stages] == [4, 4, 8, 16, 32]
    for stage in network.stages[1:]:
        assert sum(stage.parts) == stage.channels
        assert stage.parts[1:] == (68,) * 7
    assert network.feature_size == 909
    assert network.smallest_input == 32


@pytest.mark.parametrize(("depth", "layers"), [(8, 1), (12, 2), (20, 4), (32, 7), (44, 10)])
def test_depth_is_the_layers_of_the_blocks_and_four(depth, layers):
    network = DenseNet(growth=4, depth=depth)
    assert all(len(stage.parts) == layers + 1 for stage in network.stages[1:])
    plain = DenseNet(growth=4, depth=depth, composite="plain")
    assert sum(isinstance(module, nn.Conv2d) for module in plain.modules()) == depth


def test_a_stage_gives_its_parts_in_their_order():
    network = DenseNet(**SMALL).eval()
    maps = network.run_stage("stem", torch.randn(1, 1, 64, 48))
    after = network.run_stage("stage1", maps)
    assert torch.equal(after[:, : network.stage("stage1").parts[0]], maps)
    first = network.stage1[0].layers[0](maps)
    assert torch.equal(after[:, 16:24], first)


def test_every_transition_halves_and_compresses_downwards():
    network = DenseNet(growth=5, depth=12, compression=0.6)
    assert [stage.parts[0] for stage in network.stages[1:]] == [10, 12, 13, 13]
    for size, wanted in ((64, 2), (65, 3), (33, 2)):
        assert network.eval().maps(torch.zeros(1, 1, size, size)).shape[-1] == wanted


def test_folding_leaves_scales_and_counts_no_more_work():
    network = DenseNet(**SMALL)
    folded = network.folded()
    assert sum(isinstance(module, ScaleShift) for module in folded.modules()) == 8 + 3 + 1
    assert count_macs(folded, 64, 1) == count_macs(network, 64, 1)
    assert count_parameters(folded) < count_parameters(network)
    assert not any(parameter.requires_grad for parameter in folded.parameters())
