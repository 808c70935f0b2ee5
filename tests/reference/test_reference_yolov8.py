"""The blocks and the whole of YOLOv8-cls against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_layers import (
    SHAPES,
    Array,
    as_array,
    batch_norm,
    conv_of,
    linear,
    made,
    map_of,
    relative_error,
    sigmoid,
)

from mien.models.backbones.yolov8_cls import Bottleneck, C2f, ConvNormAct, YoloV8Cls


def layer(x: Array, module: ConvNormAct) -> Array:
    z = batch_norm(conv_of(x, module.conv), module.bn)
    return z * sigmoid(z)


def bottleneck(x: Array, module: Bottleneck) -> Array:
    return x + layer(layer(x, module.first), module.second)


def c2f(x: Array, module: C2f) -> Array:
    entered = layer(x, module.enter)
    half = entered.shape[1] // 2
    links = [entered[:, :half], entered[:, half:]]
    for block in module.blocks:
        links.append(bottleneck(links[-1], block))
    return layer(np.concatenate(links, axis=1), module.leave)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_layer_is_its_equation(shape, kernel, stride):
    module = made(ConvNormAct(6, 10, kernel, stride))
    x = map_of(6, shape)
    assert relative_error(module(x), layer(as_array(x), module)) < 1e-10


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", [1, 3])
def test_blocks_are_their_equations(shape, depth):
    module = made(C2f(8, depth))
    x = map_of(8, shape)
    assert relative_error(module(x), c2f(as_array(x), module)) < 1e-10
    chain = module.blocks[0]
    half = x[:, :4]
    assert relative_error(chain(half), bottleneck(as_array(half), chain)) < 1e-10


@pytest.mark.parametrize("shape", [(1, 33, 64), (2, 40, 40)])
def test_network_is_its_equations(shape):
    network = made(YoloV8Cls(width=0.125, depth=0.67, feature_size=20, in_channels=3))
    images = map_of(3, shape)
    maps = layer(as_array(images), network.stem)
    for number in range(1, 5):
        down, block = getattr(network, f"stage{number}")
        maps = c2f(layer(maps, down), block)
    assert relative_error(network.maps(images), maps) < 1e-9
    features = layer(maps, network.head).mean((2, 3))
    assert relative_error(network.features(images), features) < 1e-9
    assert relative_error(network(images), linear(features, network.fc)) < 1e-9
