"""BAM in each of its forms against its equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import Array, as_array, batch_norm, relative_error, relu, sigmoid
from torch import nn

from mien.models.layers.folding import fold
from mien.models.modulators.bam import BAM
from mien.models.network import Stage

# Images, height, width.
SHAPES = [(1, 9, 14), (3, 8, 8), (2, 1, 5)]
FORMS = [
    {},
    {"norm_position": "hidden", "combination": "product"},
    {"use_batch_norm": False, "use_spatial_bias": False},
    {"reduction": 4, "dilation": 2},
]


def made(**options) -> BAM:
    torch.manual_seed(0)
    modulator = BAM(Stage("stage1", 16, 4), **{"reduction": 8, **options})
    for parameter in modulator.parameters():
        nn.init.normal_(parameter, std=0.5)
    for norm in modulator.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return modulator.eval()


def dilated(x: Array, conv: nn.Conv2d) -> Array:
    """A k x k convolution with steps between its taps, tap by tap."""
    weight, step = as_array(conv.weight), conv.dilation[0]
    reach, (height, width) = weight.shape[-1] // 2 * step, x.shape[-2:]
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    y = np.zeros((len(x), len(weight), height, width))
    for i in range(weight.shape[-1]):
        for j in range(weight.shape[-1]):
            window = padded[:, :, i * step : i * step + height, j * step : j * step + width]
            y += np.einsum("nchw,oc->nohw", window, weight[:, :, i, j])
    return y if conv.bias is None else y + as_array(conv.bias)[:, None, None]


def branch(x: Array, layers: list[nn.Module]) -> Array:
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = dilated(x, layer)
        else:
            x = relu(x) if isinstance(layer, nn.ReLU) else batch_norm(x, layer)
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", FORMS)
def test_module_is_its_equations(shape, options):
    modulator = made(**options)
    x = torch.randn(shape[0], 16, *shape[1:])
    mean = as_array(x).mean((2, 3), keepdims=True)
    channel = branch(mean, list(modulator.channel)[1:])
    spatial = branch(as_array(x), list(modulator.spatial))
    assert channel.shape[1:] == (16, 1, 1)
    assert spatial.shape[1:] == (1, *shape[1:])
    both = channel * spatial if options.get("combination") == "product" else channel + spatial
    assert relative_error(modulator.gate(x), sigmoid(both)) < 1e-5
    wanted = as_array(x) * (1 + sigmoid(both))
    assert relative_error(modulator(x), wanted) < 1e-5
    assert relative_error(fold(modulator)(x), wanted) < 1e-5


@pytest.mark.parametrize(
    ("options", "channel", "spatial"),
    [
        ({}, "CRCN", "CRCRCRCN"),
        ({"norm_position": "hidden"}, "CNRC", "CNRCNRCNRC"),
        ({"use_batch_norm": False}, "CRC", "CRCRCRC"),
    ],
)
def test_norms_stand_where_the_form_has_them(options, channel, spatial):
    letters = {nn.Conv2d: "C", nn.ReLU: "R", nn.BatchNorm2d: "N", nn.AdaptiveAvgPool2d: ""}
    modulator = made(**options)
    assert "".join(letters[type(layer)] for layer in modulator.channel) == channel
    assert "".join(letters[type(layer)] for layer in modulator.spatial) == spatial
    dilations = [conv.dilation[0] for conv in modulator.spatial if isinstance(conv, nn.Conv2d)]
    assert dilations == [1, 4, 4, 1]


@pytest.mark.parametrize("options", FORMS)
def test_gradients_are_right(options):
    modulator = made(**options).double()
    x = torch.randn(2, 16, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(modulator, (x,))
