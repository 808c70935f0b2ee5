"""AFC against Eq. (1)-(3) and Algorithm 1 in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import as_array, batch_norm, relative_error, relu, sigmoid
from torch import nn

from mien.models.modulators.afc import AFC
from mien.models.network import Stage

# Images, height, width; the last is smaller than a dilated kernel.
SHAPES = [(1, 9, 14), (3, 7, 7), (2, 1, 5)]


def dilated(x, conv):
    """3 x 3 cross-correlation with the dilation's padding, written as nine shifted products."""
    weight, d = as_array(conv.weight), conv.dilation[0]
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (d, d), (d, d)))
    y = np.zeros((len(x), len(weight), height, width))
    for i in range(3):
        for j in range(3):
            window = padded[:, :, i * d : i * d + height, j * d : j * d + width]
            y += np.einsum("oc,nchw->nohw", weight[:, :, i, j], window)
    return y + as_array(conv.bias)[:, None, None]


def point(x, conv):
    y = np.einsum("oc,nchw->nohw", as_array(conv.weight)[:, :, 0, 0], x)
    return y if conv.bias is None else y + as_array(conv.bias)[:, None, None]


def equations(x, afc):
    branches = [relu(dilated(x, branch)) for branch in afc.branches]
    fused = sum(branches) if afc.fusion == "sum" else np.concatenate(branches, axis=1)
    integrated = relu(batch_norm(point(fused, afc.conv), afc.bn))
    by_position = sigmoid(point(x, afc.position_score)) * integrated
    pooled = by_position.mean(axis=(2, 3), keepdims=True)
    by_channel = sigmoid(point(relu(point(pooled, afc.reduce)), afc.recover)) * by_position
    return x + (by_channel if afc.fusion == "sum" else point(by_channel, afc.restore))


def made(channels=12, **options):
    torch.manual_seed(0)
    afc = AFC(Stage("stage4", channels, 32), **options)
    nn.init.uniform_(afc.bn.weight, 0.5, 1.5)
    nn.init.normal_(afc.bn.bias)
    afc.bn.running_mean.normal_()
    afc.bn.running_var.uniform_(0.5, 2)
    return afc.eval()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options",
    [{}, {"fusion": "concat"}, {"reduction": 4, "dilations": (3,)}, {"fusion": "concat", "dilations": (1, 2)}],
)
def test_afc_is_its_equations(shape, options):
    afc = made(**options)
    x = torch.randn(shape[0], 12, *shape[1:])
    wanted = equations(as_array(x), afc)
    assert relative_error(afc(x), wanted) < 1e-5
    assert relative_error(afc.double()(x.double()), wanted) < 1e-12


def test_the_concatenation_is_halved_and_brought_back():
    afc = made(fusion="concat")
    assert afc.conv.weight.shape[:2] == (18, 36)
    assert afc.restore.weight.shape[:2] == (12, 18)
    assert afc.integrate(torch.randn(1, 12, 5, 4)).shape == (1, 18, 5, 4)


def test_the_weights_of_positions_have_one_channel_and_see_the_map_itself():
    afc = made()
    assert afc.position_score.weight.shape == (1, 12, 1, 1)
    nn.init.constant_(afc.position_score.bias, -1e9)  # no position counts: the residual is left
    x = torch.randn(2, 12, 5, 4)
    assert torch.equal(afc(x), x)


@pytest.mark.parametrize("fusion", ["sum", "concat"])
def test_gradients_are_right(fusion):
    afc = made(4, reduction=2, fusion=fusion).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(afc, (x,))
