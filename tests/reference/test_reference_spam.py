"""SPAM in both forms against its equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import Array, as_array, check, conv_of, excite, linear, map_of, relative_error, sigmoid
from torch import nn

from mien.models.layers.folding import fold
from mien.models.modulators.spam import SPAM
from mien.models.network import Stage

# Images, height, width.
SHAPES = [(1, 6, 9), (3, 5, 5), (2, 1, 4), (1, 1, 1)]
SWITCHES = [(True, True), (False, True), (True, False), (False, False)]
CHANNELS = 8


def module_of(**options) -> SPAM:
    modulator = SPAM(Stage("stage3", CHANNELS, 16), **options).double().eval()
    for parameter in modulator.parameters():  # the scalars and vectors too, which start from 0 and 1
        nn.init.normal_(parameter, std=0.4)
    return modulator


def spectrum(x: Array, use_fft: bool) -> Array:
    """The definition, term by term: no fast transform and no matrices."""
    if not use_fft:
        return x
    height, width = x.shape[2:]
    h, w = np.mgrid[:height, :width]
    angles = [[2 * np.pi * (u * h / height + v * w / width) for v in range(width)] for u in range(height)]
    real = [[(x * np.cos(angle)).sum((2, 3)) for angle in row] for row in angles]
    return np.array(real).transpose(2, 3, 0, 1) / np.sqrt(height * width)


def channel_gate(means: Array, excitation) -> Array:
    return sigmoid(excite(means, excitation))[:, :, None, None]


def modulated_spectrum(x: Array, value) -> Array:
    return spectrum(x, True) * as_array(value.gamma) + as_array(value.beta) if value.use_fft else x


def pairwise(x: Array, module, use_multi_scale: bool) -> tuple[Array, Array]:
    """Return A and y, position by position."""
    if use_multi_scale:
        query, key = (
            conv_of(np.concatenate([conv_of(x, branch) for branch in scales.branches], axis=1), scales.compress)
            for scales in (module.query, module.key)
        )
    else:
        query, key = conv_of(x, module.query), conv_of(x, module.key)
    values = conv_of(spectrum(x, module.value.use_fft), module.value.mix)
    values = values * channel_gate(values.mean((2, 3)), module.value.excitation)
    n, channels, height, width = x.shape
    flat = [maps.reshape(n, channels, -1) for maps in (query, key, values)]
    attention, fused = np.zeros((n, height * width, height * width)), np.zeros_like(flat[0])
    for i in range(height * width):
        for j in range(height * width):
            attention[:, i, j] = sigmoid((flat[0][:, :, i] * flat[1][:, :, j]).sum(1))
            fused[:, :, i] += attention[:, i, j, None] * flat[2][:, :, j]
    context = linear(fused.mean(2), module.context)
    return attention, fused.reshape(x.shape) + x + context[:, :, None, None]


def elementwise(x: Array, module, use_multi_scale: bool) -> tuple[Array, Array]:
    """Return A and y, Eq. (1) to (10)."""
    if use_multi_scale:
        alpha, branches = as_array(module.spatial.alpha), module.spatial.branches
        summed = sum(alpha[i] * conv_of(x, branch) for i, branch in enumerate(branches))
        spatial = conv_of(summed, module.spatial.compress)
    else:
        spatial = conv_of(x, module.spatial)
    query = conv_of(spatial, module.query)
    z = modulated_spectrum(x, module.value)
    values = conv_of(z, module.value.mix) * channel_gate(z.mean((2, 3)), module.value.excitation)
    attention = sigmoid(query * values)
    source = values if module.gate_source == "values" else attention * values
    return attention, attention * values * channel_gate(source.mean((2, 3)), module.excitation) + x


FORMS = [
    ({"form": "pairwise"}, pairwise),
    ({"form": "elementwise"}, elementwise),
    ({"form": "elementwise", "gate_source": "fused"}, elementwise),
]


@pytest.mark.parametrize(("form", "reference"), FORMS)
@pytest.mark.parametrize(("use_fft", "use_multi_scale"), SWITCHES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_module_is_its_equations(form, reference, use_fft, use_multi_scale, shape):
    modulator = module_of(**form, use_fft=use_fft, use_multi_scale=use_multi_scale)
    x = map_of(CHANNELS, shape)
    attention, wanted = reference(as_array(x), modulator.fusion, use_multi_scale)
    assert relative_error(modulator.attention(x), attention) < 1e-10
    assert relative_error(modulator.spectrum(x), spectrum(as_array(x), use_fft)) < 1e-10
    check(modulator, x, wanted)


@pytest.mark.parametrize("form", ["pairwise", "elementwise"])
@pytest.mark.parametrize(("use_fft", "use_multi_scale"), SWITCHES)
def test_gradients_are_right(form, use_fft, use_multi_scale):
    stage = Stage("stage1", 3, 2)
    modulator = SPAM(stage, form=form, use_fft=use_fft, use_multi_scale=use_multi_scale, reduction=1).double()
    x = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(modulator, (x,))
    trained = {name: parameter for name, parameter in modulator.named_parameters() if parameter.requires_grad}
    names, parameters = list(trained), tuple(trained.values())

    def run(*values):
        return torch.func.functional_call(modulator, dict(zip(names, values, strict=True)), (x.detach(),))

    assert torch.autograd.gradcheck(run, parameters)


def test_the_unused_norm_has_no_effect_no_gradient_and_is_dropped_by_folding():
    modulator = module_of()
    x = map_of(CHANNELS, (1, 3, 4))
    before, norm = modulator(x), modulator.fusion.norm
    nn.init.normal_(norm.weight)
    assert torch.equal(modulator(x), before)
    assert not any(parameter.requires_grad for parameter in norm.parameters())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fold(modulator, x).modules())


def test_only_the_elementwise_form_has_the_gate_of_equation_9():
    with pytest.raises(ValueError, match=r"only form = .elementwise. has the gate"):
        SPAM(Stage("stage3", CHANNELS, 16), gate_source="fused")


def test_the_gate_of_the_spectrum_depends_on_the_top_left_position_alone():
    modulator = module_of(form="elementwise")
    x = map_of(CHANNELS, (1, 4, 6))
    other = map_of(CHANNELS, (1, 4, 6))
    other[:, :, 0, 0] = x[:, :, 0, 0]
    means = [modulator.spectrum(maps).mean((2, 3)) for maps in (x, other)]
    torch.testing.assert_close(*means)
    torch.testing.assert_close(means[0], x[:, :, 0, 0] / 24**0.5)
