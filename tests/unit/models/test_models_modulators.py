"""What modulators promise beside their equations."""

from __future__ import annotations

import pytest
import torch

from mien.models import registry
from mien.models.complexity import count_parameters
from mien.models.modulators.afc import AFC
from mien.models.modulators.despam import DeSpaM
from mien.models.modulators.registry import create_modulator
from mien.models.network import Stage


@pytest.mark.parametrize("name", ["despam", "hfc", "se", "cbam", "gam", "sldcnn_channel"])
def test_weights_only_attenuate(name):
    modulator = create_modulator(name, Stage("stage2", 16, 8)).eval()
    maps = torch.randn(2, 16, 6, 5)
    assert (modulator(maps).abs() <= maps.abs()).all()
    assert (modulator(torch.zeros(1, 16, 6, 5)) == 0).all()


def test_spatial_unit_of_sldcnn_only_amplifies():
    unit = create_modulator("sldcnn_spatial", Stage("stage1", 10, 4, parts=(4, 3, 3)))
    maps = torch.rand(2, 10, 6, 5)
    assert unit.mask(maps).shape == (2, 1, 6, 5)
    assert (unit(maps) > maps).all()
    assert (unit(maps) < 2 * maps).all()


def test_spatial_units_of_sldcnn_have_one_kernel_and_one_weight_per_part():
    network = registry.create("sldcnn")
    assert set(network.modulators) == {"stage1", "stage2", "stage3", "stage4"}
    for name, unit in network.modulators.items():
        assert count_parameters(unit) == 2 * 7 * 7 + 8
        assert unit.parts == network.stage(name).parts


def test_dropout_of_despam_removes_whole_channels_in_training_only():
    modulator = DeSpaM(Stage("stage2", 64, 4), gate_dropout=0.0, dropout=0.5)
    out = modulator(torch.rand(1, 64, 4, 4) + 0.1)
    dropped = (out == 0).all(dim=(2, 3))
    assert 10 < dropped.sum() < 54
    assert ((out == 0).any(dim=(2, 3)) == dropped).all()
    assert (modulator.eval()(torch.rand(1, 64, 4, 4) + 0.1) > 0).all()


def test_narrow_stages_keep_one_middle_channel_in_afc():
    afc = AFC(Stage("stem", 3, 2)).eval()
    assert afc.reduce.out_channels == 1
    assert afc(torch.randn(1, 3, 4, 4)).shape == (1, 3, 4, 4)
