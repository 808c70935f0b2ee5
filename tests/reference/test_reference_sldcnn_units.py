"""SLDCNN's spatial unit and its channel attention against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import (
    SHAPES,
    as_array,
    batch_norm,
    check,
    conv2d,
    conv_of,
    made,
    map_of,
    relative_error,
    relu,
    sigmoid,
)

from mien.models.modulators.sldcnn_channel import SLDCNNChannel
from mien.models.modulators.sldcnn_spatial import SLDCNNSpatial
from mien.models.network import Stage

DENSE = Stage("stage1", 15, 4, parts=(6, 3, 3, 3))
WHOLE = Stage("stage1", 15, 4)


def mask_of(x, unit, parts, *, dilation, shared, maps):
    kernels = as_array(unit.context.weight)
    scores, start = [], 0
    for i, channels in enumerate(parts):
        part = x[:, start : start + channels]
        pooled = np.stack([part.mean(axis=1), part.max(axis=1)], axis=1)
        kernel = kernels if shared else kernels[i * maps : (i + 1) * maps]
        scores.append(conv2d(pooled, kernel, dilation=dilation))
        start += channels
    point = as_array(unit.point.weight)[0, :, 0, 0]
    return sigmoid(np.einsum("nshw,s->nhw", np.concatenate(scores, axis=1), point))[:, None]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stage", [DENSE, WHOLE], ids=["dense", "whole"])
@pytest.mark.parametrize("sizes", [(7, 1, 1, True), (7, 2, 3, True), (3, 3, 1, False), (5, 1, 2, False)])
def test_spatial_unit_is_its_equations(shape, stage, sizes):
    kernel, dilation, maps, shared = sizes
    unit = SLDCNNSpatial(stage, kernel=kernel, dilation=dilation, maps=maps, use_shared_kernel=shared).double()
    x = map_of(15, shape)
    mask = mask_of(as_array(x), unit, stage.parts or (stage.channels,), dilation=dilation, shared=shared, maps=maps)
    assert mask.shape == (shape[0], 1, *shape[1:])
    assert relative_error(unit.mask(x), mask) < 1e-10
    check(unit, x, (1 + mask) * as_array(x))


def test_the_main_branch_is_the_bottleneck_of_the_weighted_map():
    unit = made(SLDCNNSpatial(DENSE, use_main_branch=True, reduction=3))
    x = map_of(15, SHAPES[0])
    mask = mask_of(as_array(x), unit, DENSE.parts, dilation=1, shared=True, maps=1)
    hidden = as_array(x)
    for norm, conv in zip(unit.main[::3], unit.main[2::3], strict=True):
        hidden = conv_of(relu(batch_norm(hidden, norm)), conv)
    assert [conv.kernel_size for conv in unit.main[2::3]] == [(1, 1), (3, 3), (1, 1)]
    check(unit, x, (1 + mask) * hidden)


def test_separate_kernels_that_are_equal_are_the_shared_kernel():
    shared, separate = SLDCNNSpatial(DENSE), SLDCNNSpatial(DENSE, use_shared_kernel=False)
    separate.context.weight.data = shared.context.weight.data.repeat(4, 1, 1, 1)
    separate.point.weight.data = shared.point.weight.data
    x = torch.randn(2, 15, 6, 9)
    torch.testing.assert_close(separate(x), shared(x))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("reduction", "fixed", "hidden"), [(4, False, 3), (4, True, 4), (15, False, 1)])
def test_channel_attention_is_its_equations(shape, reduction, fixed, hidden):
    unit = SLDCNNChannel(WHOLE, reduction=reduction, use_fixed_width=fixed).double()
    first, second = as_array(unit.excitation.reduce.weight), as_array(unit.excitation.expand.weight)
    assert first.shape == (hidden, 15)
    assert unit.excitation.reduce.bias is None
    x = map_of(15, shape)
    z = as_array(x).mean(axis=(2, 3))
    s = sigmoid(relu(z @ first.T) @ second.T)[:, :, None, None]
    assert relative_error(unit.weights(x), s) < 1e-10
    check(unit, x, s * as_array(x))
