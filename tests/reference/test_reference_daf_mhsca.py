"""DAF and a head of MHSCA against Eq. (4)-(13) and Algorithms 2 and 3 in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import as_array, check, check_gradients, conv_of, linear, map_of, relative_error, relu, sigmoid

from mien.models.layers.directional_attention import (
    DirectionalAttention,
    GlobalConvolution,
    resize_rows,
    resize_weights,
)
from mien.models.layers.spatial_channel_head import SpatialChannelHead
from mien.models.papers.daf_mhsca import DAFMHSCA

C = 8
# Images, height, width; the nominal map is 7 x 7.
SHAPES = [(2, 7, 7), (1, 7, 7), (3, 4, 6), (1, 9, 5), (2, 1, 12), (1, 1, 1)]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, norm):
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + norm.eps) * as_array(norm.weight) + as_array(norm.bias)


def hats(length, wanted):
    """The weight of old position j in new position i falls linearly with their distance."""
    weights = np.zeros((wanted, length))
    ratio = length / wanted
    for i in range(wanted):
        for j in range(length):
            distance = abs((i + 0.5) * ratio - 0.5 - j)
            weights[i, j] = max(0.0, 1 - distance / max(1.0, ratio))
    return weights


def resized(rows, wanted):
    weights = hats(rows.shape[-2], wanted)
    return (weights / weights.sum(axis=1, keepdims=True)) @ rows


def spread(kernel, wanted):
    weights = hats(kernel.shape[-1], wanted)
    return kernel @ (weights / weights.sum(axis=0, keepdims=True)).T


def direction(x, part, axis):
    """Eq. (4) and (5) of one direction: (Q, K, V) of self- and of cross-attention."""
    maps = conv_of(x, part.point_in)
    kernel = as_array(part.across.weight).reshape(x.shape[1], -1)
    if axis == "height":
        lines = np.einsum("nchw,cw->nch", maps, spread(kernel, x.shape[3]))
    else:
        lines = np.einsum("nchw,ch->ncw", maps, spread(kernel, x.shape[2]))
    lines = conv_of(lines[..., None], part.point_out)[..., 0].transpose(0, 2, 1)
    positions = resized(as_array(part.positions), lines.shape[1])
    alone = layer_norm(linear(lines, part.self_projection) + positions, part.self_norm)
    crossed = layer_norm(linear(lines, part.cross_projection) + positions, part.cross_norm)
    return (
        np.split(linear(alone, part.self_attention), 3, axis=-1),
        np.split(linear(crossed, part.cross_attention), 3, axis=-1),
    )


def attend(query, key, value):
    return softmax(np.einsum("nic,njc->nij", query, key) / np.sqrt(query.shape[-1])) @ value


def daf(x, module, cross):
    """Eq. (6)-(8)."""
    height, width = x.shape[2:]
    self_h, (qh, kh, vh) = direction(x, module.height, "height")
    self_w, (qw, kw, vw) = direction(x, module.width, "width")
    if cross == "equation":
        to_h, to_w = attend(qh, kh, resized(vw, height)), attend(qw, kw, resized(vh, width))
    else:
        to_h, to_w = attend(qh, kw, vw), attend(qw, kh, vh)
    crossed_h = linear(np.concatenate([to_h, resized(to_w, height)], axis=-1), module.merge)
    crossed_w = linear(np.concatenate([resized(to_h, width), to_w], axis=-1), module.merge)
    by_h, by_w = sigmoid(attend(*self_h) + crossed_h), sigmoid(attend(*self_w) + crossed_w)
    return np.einsum("nhc,nwc->nchw", by_h, by_w)


def head(x, module, attention):
    """Eq. (9)-(12) with whole maps, pooled at the end; the spatial map."""
    hidden = conv_of(x, module.point)
    scores = (module.row_score, module.square_score, module.column_score)
    spatial = sigmoid(sum(conv_of(hidden, score) for score in scores))
    attended = np.ones_like(x) if attention is None else attention
    x_s = attended * (spatial * x)
    if module.use_channel_attention:
        weights = sigmoid(linear(relu(linear(x_s.mean(axis=(2, 3)), module.reduce)), module.recover))
        x_c = weights[:, :, None, None] * x_s
        x_s = attended.mean(axis=(2, 3), keepdims=True) * x_c
    return x_s.mean(axis=(2, 3)), spatial


def directional_attention(cross="equation", **options):
    module = DirectionalAttention(C, cross=cross, **options).double().eval()
    for part in (module.height, module.width):
        torch.nn.init.normal_(part.positions)
        for norm in (part.self_norm, part.cross_norm):
            torch.nn.init.normal_(norm.weight)
            torch.nn.init.normal_(norm.bias)
    return module


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cross", ["equation", "algorithm"])
def test_directional_attention_is_its_equations(shape, cross):
    module = directional_attention(cross)
    x = 2 * map_of(C, shape)
    check(module, x, daf(as_array(x), module, cross))


def test_at_the_nominal_size_nothing_is_resized():
    rows = torch.randn(7, 3)
    assert resize_rows(rows, 7) is rows
    assert np.array_equal(resize_weights(7, 7, 0), np.eye(7))
    for axis in ("height", "width"):
        conv = GlobalConvolution(3, 7, axis)
        assert conv._kernel(7) is conv.weight


@pytest.mark.parametrize(("length", "wanted"), [(7, 1), (7, 3), (7, 6), (7, 8), (7, 20), (1, 4)])
def test_resizing_keeps_constants_and_the_sum_of_a_kernel(length, wanted):
    weights = hats(length, wanted)
    for axis in (0, 1):
        assert np.allclose(resize_weights(length, wanted, axis), weights / weights.sum(axis=axis, keepdims=True))
    rows = torch.full((length, 2), 3.0, dtype=torch.double)
    torch.testing.assert_close(resize_rows(rows, wanted), torch.full((wanted, 2), 3.0, dtype=torch.double))
    conv = GlobalConvolution(4, length, "height").double()
    torch.testing.assert_close(conv._kernel(wanted).sum(dim=(2, 3)), conv.weight.sum(dim=(2, 3)))


def test_enlarged_lines_are_linear_between_the_old_positions():
    line = torch.arange(7.0).double()[:, None]
    torch.testing.assert_close(resize_rows(line, 14)[1:-1, 0], torch.linspace(0.25, 5.75, 12, dtype=torch.double))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("use_channel_attention", [True, False])
@pytest.mark.parametrize("use_daf", [True, False])
def test_a_head_is_its_equations(shape, use_channel_attention, use_daf):
    module = SpatialChannelHead(C, reduction=2, use_channel_attention=use_channel_attention)
    x = torch.randn(shape[0], C, *shape[1:])
    attention = torch.rand(x.shape) if use_daf else None
    features, spatial = head(as_array(x), module, None if attention is None else as_array(attention))
    given = module.spatial_map(x)
    assert relative_error(given, spatial) < 1e-5
    assert relative_error(module(x, given, attention), features) < 1e-5


@pytest.mark.parametrize("use_daf", [True, False])
@pytest.mark.parametrize("use_mhsca", [True, False])
@torch.no_grad()
def test_the_network_sums_the_heads(use_daf, use_mhsca):
    network = DAFMHSCA(width=4, heads=3, use_daf=use_daf, use_mhsca=use_mhsca).eval()
    images = torch.randn(2, 1, 70, 100)
    maps = as_array(network.maps(images))
    assert maps.shape == (2, 32, 3, 4)
    attended = daf(maps, network.directional_attention, "equation") if use_daf else None
    outputs = network.outputs(images)
    if use_mhsca:
        parts = [head(maps, module, attended) for module in network.heads]
        wanted = sum(features for features, _ in parts)
        assert relative_error(outputs.attention, np.concatenate([spatial for _, spatial in parts], axis=1)) < 1e-5
    else:
        wanted = (maps * attended if use_daf else maps).mean(axis=(2, 3))
        assert outputs.attention is None
    assert relative_error(outputs.features, wanted) < 1e-5
    assert relative_error(outputs.logits, linear(wanted, network.fc)) < 1e-5


@pytest.mark.parametrize("cross", ["equation", "algorithm"])
@pytest.mark.parametrize("size", [(3, 3), (2, 4)])
def test_gradients_of_the_attention_are_right(cross, size):
    module = DirectionalAttention(3, map_size=3, cross=cross).double()
    check_gradients(module, 2, 3, *size)
    x = map_of(3, (2, *size))
    assert torch.autograd.gradcheck(lambda _: module(x), (module.height.across.weight,))


def test_gradients_of_a_head_are_right():
    module = SpatialChannelHead(4, reduction=2).double()
    x, attention = (torch.randn(2, 4, 3, 2, dtype=torch.double, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x, a: module(x, module.spatial_map(x), a), (x, attention))
