"""MobileNetV2's block and whole network against their definitions in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_layers import (
    SHAPES,
    Array,
    as_array,
    batch_norm,
    check,
    conv_of,
    linear,
    made,
    map_of,
    relative_error,
)
from torch import nn

from mien.models import registry
from mien.models.backbones.mobilenet_v2 import InvertedResidual


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def layer(x: Array, pair: nn.Sequential) -> Array:
    return relu6(batch_norm(conv_of(x, pair[0]), pair[1]))


def block(x: Array, module: InvertedResidual) -> Array:
    *widened, narrow, norm = module.conv
    y = x
    for pair in widened:
        y = layer(y, pair)
    y = batch_norm(conv_of(y, narrow), norm)
    return x + y if y.shape == x.shape else y


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("outside", "stride", "expansion"), [(8, 1, 6), (8, 2, 6), (12, 1, 3), (8, 1, 1)])
def test_block_is_its_equation(shape, outside, stride, expansion):
    module = made(InvertedResidual(8, outside, stride, expansion))
    x = map_of(8, shape)
    assert module.use_shortcut == (stride == 1 and outside == 8)
    check(module, x, block(as_array(x), module))


def test_network_is_its_table():
    """Expansion, channels, repeats and first stride of each row of Table 2, read off the finished network."""
    network = made(registry.create("mobilenet_v2", in_channels=3))
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    x = map_of(3, (2, 40, 33))
    y, number, channels = layer(as_array(x), network.layers[0]), 1, 32
    for expansion, out, repeats, stride in rows:
        for i in range(repeats):
            module = network.layers[number]
            depthwise = module.conv[-3][0]
            assert depthwise.groups == channels * expansion
            assert depthwise.stride[0] == (stride if i == 0 else 1)
            y, number, channels = block(y, module), number + 1, out
            assert y.shape[1] == out
    y = layer(y, network.layers[number]).mean((2, 3))
    assert number == len(network.layers) - 1
    assert relative_error(network.features(x), y) < 1e-9
    assert relative_error(network(x), linear(y, network.classifier[1])) < 1e-9
