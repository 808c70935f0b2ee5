from __future__ import annotations

import torch

from mien.models.modulators.despam import DeSpaM
from mien.models.network import Stage


def test_the_gate_is_one_value_per_position_and_only_attenuates():
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
