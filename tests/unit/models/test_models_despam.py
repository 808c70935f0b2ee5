from __future__ import annotations

import pytest
import torch

from mien.models import registry
from mien.models.complexity import count_parameters
from mien.models.modulators.despam import DeSpaM
from mien.models.network import Stage


def test_published_sizes_to_the_unit():
    network = registry.create("despam", in_channels=3)
    assert count_parameters(network) == 1_312_339
    assert count_parameters(network.folded()) == 1_279_439


def test_stages_at_the_published_input():
    network = registry.create("despam", in_channels=3).eval()
    shapes, maps = {}, torch.zeros(1, 3, 112, 112)
    for name in network.stage_names:
        maps = network.run_stage(name, maps)
        shapes[name] = tuple(maps.shape[1:])
    assert shapes == {
        "stem": (48, 56, 56),
        "stage1": (48, 56, 56),
        "stage2": (96, 28, 28),
        "stage3": (160, 14, 14),
    }
    assert network.modulators["stage2"].score.in_channels == 12


def test_the_gate_is_one_value_a_position_and_never_adds():
    modulator = DeSpaM(Stage("stage2", 16, 4)).eval()
    maps = torch.randn(2, 16, 6, 5)
    gate = modulator.gate(maps)
    assert gate.shape == (2, 1, 6, 5)
    assert 0 < gate.min() <= gate.max() < 1
    assert (modulator(maps).abs() <= maps.abs()).all()
    assert (modulator(torch.zeros(1, 16, 6, 5)) == 0).all()


def test_dropout_removes_whole_channels_in_training_only():
    modulator = DeSpaM(Stage("stage2", 64, 4), gate_dropout=0.0, dropout=0.5)
    out = modulator(torch.rand(1, 64, 4, 4) + 0.1)
    dropped = (out == 0).all(dim=(2, 3))
    assert 10 < dropped.sum() < 54
    assert ((out == 0).any(dim=(2, 3)) == dropped).all()
    assert (modulator.eval()(torch.rand(1, 64, 4, 4) + 0.1) > 0).all()


@pytest.mark.parametrize("options", [{"reduction": 0}, {"reduction": 17}, {"gate_kernel": 2}, {"kernel": 2}])
def test_options_that_do_not_fit_are_refused(options):
    with pytest.raises(ValueError, match="is"):
        DeSpaM(Stage("stage2", 16, 4), **options)
