"""AFC against Eq. (1)-(3) and Algorithm 1 in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import SHAPES, as_array, batch_norm, check, conv_of, made, map_of, relu, sigmoid
from torch import nn

from mien.models.modulators.afc import AFC
from mien.models.network import Stage

STAGE = Stage("stage4", 12, 32)


def equations(x, afc):
    branches = [relu(conv_of(x, branch)) for branch in afc.branches]
    fused = sum(branches) if afc.fusion == "sum" else np.concatenate(branches, axis=1)
    integrated = relu(batch_norm(conv_of(fused, afc.conv), afc.bn))
    by_position = sigmoid(conv_of(x, afc.position_score)) * integrated
    pooled = by_position.mean(axis=(2, 3), keepdims=True)
    by_channel = sigmoid(conv_of(relu(conv_of(pooled, afc.reduce)), afc.recover)) * by_position
    return x + (by_channel if afc.fusion == "sum" else conv_of(by_channel, afc.restore))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options",
    [{}, {"fusion": "concat"}, {"reduction": 4, "dilations": (3,)}, {"fusion": "concat", "dilations": (1, 2)}],
)
def test_afc_is_its_equations(shape, options):
    afc = made(AFC(STAGE, **options))
    x = map_of(12, shape)
    check(afc, x, equations(as_array(x), afc))


def test_without_position_weights_only_the_residual_is_left():
    afc = made(AFC(STAGE))
    nn.init.constant_(afc.position_score.bias, -1e9)
    x = map_of(12, (2, 5, 4))
    assert torch.equal(afc(x), x)
