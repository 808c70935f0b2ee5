"""RepConv, the block and the modulator of DeSpaM against their equations in float64 numpy."""

from __future__ import annotations

import pytest
from numpy_layers import (
    SHAPES,
    as_array,
    batch_norm,
    check,
    conv_of,
    made,
    map_of,
    relative_error,
    relu,
    rep_conv,
    sigmoid,
)

from mien.models.backbones.despam import Block
from mien.models.backbones.resnet import BasicBlock
from mien.models.layers.rep_conv import RepConv
from mien.models.modulators.despam import DeSpaM
from mien.models.network import Stage


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "sizes",
    [(6, 6, 7, 1, 6), (6, 6, 3, 1, 2), (4, 6, 3, 2, 1), (4, 4, 3, 2, 1), (5, 5, 5, 1, 1)],
)
def test_rep_conv_trains_and_deploys_its_equation(shape, sizes):
    inside, outside, kernel, stride, groups = sizes
    layer = made(RepConv(inside, outside, kernel, stride=stride, groups=groups))
    x = map_of(inside, shape)
    wanted = rep_conv(as_array(x), layer)
    assert relative_error(layer.fold()(x), wanted) < 1e-10
    check(layer, x, wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_modulator_is_its_equation(shape):
    modulator = made(DeSpaM(Stage("stage2", 16, 4)))
    x = map_of(16, shape)
    hidden = relu(rep_conv(as_array(x), modulator.context))
    gate = sigmoid(conv_of(hidden, modulator.score))
    assert gate.shape == (shape[0], 1, *shape[1:])
    assert relative_error(modulator.gate(x), gate) < 1e-10
    check(modulator, x, as_array(x) * gate)


@pytest.mark.parametrize("shape", SHAPES)
def test_despam_block_is_its_equation(shape):
    block = made(Block(8, 7, 5))
    x = map_of(8, shape)
    hidden = relu(rep_conv(as_array(x), block.depthwise))
    hidden = relu(batch_norm(conv_of(hidden, block.conv1), block.bn1))
    wanted = as_array(x) + batch_norm(conv_of(hidden, block.conv2), block.bn2)
    check(block, x, wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("outside", "stride"), [(6, 1), (8, 1), (8, 2)])
def test_resnet_block_is_its_equation(shape, outside, stride):
    block = made(BasicBlock(6, outside, stride))
    x = map_of(6, shape)
    shortcut = as_array(x)
    if block.downsample is not None:
        shortcut = batch_norm(conv_of(shortcut, block.downsample[0]), block.downsample[1])
    hidden = relu(batch_norm(conv_of(as_array(x), block.conv1), block.bn1))
    wanted = relu(batch_norm(conv_of(hidden, block.conv2), block.bn2) + shortcut)
    check(block, x, wanted)
