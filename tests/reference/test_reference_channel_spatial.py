"""SE, CBAM and GAM against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_layers import (
    SHAPES,
    as_array,
    batch_norm,
    check,
    conv_of,
    excite,
    made,
    map_of,
    relative_error,
    relu,
    sigmoid,
)
from torch import nn

from mien.models.modulators.cbam import CBAM
from mien.models.modulators.gam import GAM
from mien.models.modulators.se import SE
from mien.models.network import Stage

STAGE = Stage("stage2", 16, 8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [{}, {"reduction": 4}, {"reduction": 2, "use_bias": True}])
def test_se_is_its_equations(shape, options):
    module, x = made(SE(STAGE, **options)), map_of(16, shape)
    weights = sigmoid(excite(as_array(x).mean(axis=(2, 3)), module.excitation))[:, :, None, None]
    assert relative_error(module.weights(x), weights) < 1e-10
    check(module, x, weights * as_array(x))


def cbam_channel(x, module):
    scores = excite(x.mean(axis=(2, 3)), module.excitation) + excite(x.max(axis=(2, 3)), module.excitation)
    return sigmoid(scores)[:, :, None, None]


def cbam_spatial(x, module):
    scores = conv_of(np.stack([x.mean(axis=1), x.max(axis=1)], axis=1), module.conv)
    return sigmoid(batch_norm(scores, module.bn) if isinstance(module.bn, nn.BatchNorm2d) else scores)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["channel_first", "spatial_first", "parallel"])
@pytest.mark.parametrize("options", [{}, {"reduction": 4, "kernel": 3}, {"version": "released"}])
def test_cbam_is_its_equations(shape, order, options):
    module, x = made(CBAM(STAGE, order=order, **options)), map_of(16, shape)
    f = as_array(x)
    assert relative_error(module.channel_weights(x), cbam_channel(f, module)) < 1e-10
    assert relative_error(module.spatial_weights(x), cbam_spatial(f, module)) < 1e-10
    if order == "channel_first":
        first = cbam_channel(f, module) * f
        wanted = cbam_spatial(first, module) * first
    elif order == "spatial_first":
        first = cbam_spatial(f, module) * f
        wanted = cbam_channel(first, module) * first
    else:
        wanted = cbam_channel(f, module) * cbam_spatial(f, module) * f
    check(module, x, wanted)


def shuffled(x, groups):
    """Channel c of group g goes to index c x groups + g."""
    size = x.shape[1] // groups
    out = np.empty_like(x)
    for group, channel in np.ndindex(groups, size):
        out[:, channel * groups + group] = x[:, group * size + channel]
    return out


def gam_channel(x, module):
    out = np.empty_like(x)
    for n, h, w in np.ndindex(x.shape[0], *x.shape[2:]):
        out[n, :, h, w] = sigmoid(excite(x[n, :, h, w], module.excitation))
    return out


def gam_spatial(x, module):
    hidden = relu(batch_norm(conv_of(x, module.conv1), module.bn1))
    return sigmoid(batch_norm(conv_of(shuffled(hidden, module.groups), module.conv2), module.bn2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [{}, {"reduction": 2, "kernel": 3}, {"groups": 4}, {"reduction": 2, "groups": 4}])
def test_gam_is_its_equations(shape, options):
    module, x = made(GAM(STAGE, **options)), map_of(16, shape)
    f = as_array(x)
    assert relative_error(module.channel_weights(x), gam_channel(f, module)) < 1e-10
    assert relative_error(module.spatial_weights(x), gam_spatial(f, module)) < 1e-10
    first = gam_channel(f, module) * f
    check(module, x, gam_spatial(first, module) * first)
