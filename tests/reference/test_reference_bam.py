"""BAM in each of its forms against its equations in float64 numpy."""

from __future__ import annotations

import pytest
from numpy_layers import (
    SHAPES,
    Array,
    as_array,
    batch_norm,
    check,
    conv_of,
    made,
    map_of,
    relative_error,
    relu,
    sigmoid,
)
from torch import nn

from mien.models.layers.folding import fold
from mien.models.modulators.bam import BAM
from mien.models.network import Stage

FORMS = [
    {},
    {"norm_position": "hidden", "combination": "product"},
    {"use_batch_norm": False, "use_spatial_bias": False},
    {"reduction": 4, "dilation": 2},
    {"combination": "product", "use_residual": False},
]


def module_of(**options) -> BAM:
    modulator = BAM(Stage("stage1", 16, 4), **{"reduction": 8, **options})
    for parameter in modulator.parameters():  # the biases too, which start from 0
        nn.init.normal_(parameter, std=0.5)
    return made(modulator)


def branch(x: Array, layers: list[nn.Module]) -> Array:
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = conv_of(x, layer)
        else:
            x = relu(x) if isinstance(layer, nn.ReLU) else batch_norm(x, layer)
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", FORMS)
def test_module_is_its_equations(shape, options):
    modulator, x = module_of(**options), map_of(16, shape)
    channel = branch(as_array(x).mean((2, 3), keepdims=True), list(modulator.channel)[1:])
    spatial = branch(as_array(x), list(modulator.spatial))
    assert channel.shape[1:] == (16, 1, 1)
    assert spatial.shape[1:] == (1, *shape[1:])
    both = channel * spatial if options.get("combination") == "product" else channel + spatial
    assert relative_error(modulator.gate(x), sigmoid(both)) < 1e-10
    wanted = as_array(x) * (options.get("use_residual", True) + sigmoid(both))
    assert relative_error(fold(modulator, x)(x), wanted) < 1e-10
    check(modulator, x, wanted)


@pytest.mark.parametrize(
    ("options", "channel", "spatial"),
    [
        ({}, "CRCN", "CRCRCRCN"),
        ({"norm_position": "hidden"}, "CNRC", "CNRCNRCNRC"),
        ({"use_batch_norm": False}, "CRC", "CRCRCRC"),
    ],
)
def test_norms_are_where_each_form_has_them(options, channel, spatial):
    letters = {nn.Conv2d: "C", nn.ReLU: "R", nn.BatchNorm2d: "N", nn.AdaptiveAvgPool2d: ""}
    modulator = module_of(**options)
    assert "".join(letters[type(layer)] for layer in modulator.channel) == channel
    assert "".join(letters[type(layer)] for layer in modulator.spatial) == spatial
    assert [conv.dilation[0] for conv in modulator.spatial if isinstance(conv, nn.Conv2d)] == [1, 4, 4, 1]
