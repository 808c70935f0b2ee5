"""The dense net's parts and the folding of its norms against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_layers import (
    SHAPES,
    as_array,
    batch_norm,
    check,
    conv_of,
    linear,
    made,
    map_of,
    relative_error,
    relu,
)

from mien.models.backbones.dense import BottleneckLayer, DenseBlock, DenseNet, PlainLayer, Transition
from mien.models.layers.pre_activation import PreNorm


def bottleneck(x, layer):
    hidden = conv_of(relu(batch_norm(x, layer.norm)), layer.conv1)
    hidden = conv_of(relu(batch_norm(hidden, layer.bn1)), layer.conv2)
    return conv_of(relu(batch_norm(hidden, layer.bn2)), layer.conv3)


def plain(x, layer):
    return conv_of(relu(batch_norm(x, layer.norm)), layer.conv)


def layer_of(kind, channels):
    return BottleneckLayer(channels, 3, 6, 0.1) if kind is bottleneck else PlainLayer(channels, 6, 0.1)


def block_of(x, block, kind):
    maps = [x]
    for layer in block.layers:
        maps.append(kind(np.concatenate(maps, axis=1), layer))
    return np.concatenate(maps, axis=1)


def mean_pool(x):
    """The mean of each 2 x 2 positions, or of fewer at an odd edge."""
    n, c, height, width = x.shape
    out = np.empty((n, c, -(-height // 2), -(-width // 2)))
    for i, j in np.ndindex(out.shape[2:]):
        out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(axis=(2, 3))
    return out


def transition(x, step):
    return mean_pool(conv_of(relu(batch_norm(x, step.norm)), step.conv))


def max_pool(x):
    """3 x 3, stride 2, padded by values that never win."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2].max(axis=(4, 5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [bottleneck, plain])
def test_layer_and_block_are_their_equations(shape, kind):
    layer = made(layer_of(kind, 5))
    x = map_of(5, shape)
    assert relative_error(layer(x), kind(as_array(x), layer)) < 1e-10
    block = made(DenseBlock([layer_of(kind, 5 + 6 * i) for i in range(3)]))
    wanted = block_of(as_array(x), block, kind)
    assert wanted.shape[1] == 5 + 3 * 6
    assert relative_error(block(x), wanted) < 1e-10


@pytest.mark.parametrize("shape", [*SHAPES, (1, 7, 1), (1, 5, 4)])
def test_transition_is_its_equation(shape):
    step = made(Transition(6, 4))
    x = map_of(6, shape)
    assert relative_error(step(x), transition(as_array(x), step)) < 1e-10


@pytest.mark.parametrize("shape", SHAPES)
def test_a_norm_before_its_convolution_folds_to_scale_and_shift(shape):
    norm = made(PreNorm(6))
    x = map_of(6, shape)
    assert relative_error(norm.fold()(x), batch_norm(as_array(x), norm)) < 1e-10


@pytest.mark.parametrize("kind", [bottleneck, plain])
@pytest.mark.parametrize("shape", [(1, 48, 80), (2, 67, 35)])
def test_the_whole_net_is_its_equations(kind, shape):
    net = made(DenseNet(depth=12, growth=6, in_channels=3, composite=kind.__name__, middle=3))
    x = map_of(3, shape)
    maps = max_pool(relu(batch_norm(conv_of(as_array(x), net.conv0), net.bn0)))
    for i in range(1, 5):
        for part in getattr(net, f"stage{i}"):
            maps = transition(maps, part) if isinstance(part, Transition) else block_of(maps, part, kind)
    features = relu(batch_norm(maps, net.norm)).mean(axis=(2, 3))
    logits = linear(features, net.fc)
    assert relative_error(net.features(x), features) < 1e-10
    assert relative_error(net.folded()(x), logits) < 1e-10
    check(net, x, logits)
