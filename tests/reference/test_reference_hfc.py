"""HFC attention against its equations in float64 numpy, with numpy's own Fourier transform and decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import Array, as_array, check, check_gradients, conv_of, map_of, relative_error, sigmoid

from mien.models.modulators.hfc import HFC
from mien.models.modulators.hfc import high_pass as filter_of
from mien.models.network import Stage

QUERIES = ("hfc", "lfc", "both", "both_hl")
# Images, height, width.
SHAPES = [(1, 8, 8), (3, 7, 7), (2, 9, 14), (1, 6, 3), (2, 2, 2)]


def module_of(query: str = "hfc", **options) -> HFC:
    modulator = HFC(Stage("stage1", 6, 4), query=query, **options)
    torch.nn.init.normal_(modulator.score.weight, std=0.02)
    return modulator.eval()


def high_pass(maps: Array, cutoff: float) -> Array:
    """Frequency by frequency, with integer cycles over the map."""
    height, width = maps.shape[-2:]
    spectrum = np.fft.fft2(maps)
    for row in range(height):
        for column in range(width):
            u, v = min(row, height - row), min(column, width - column)
            if np.sqrt((u / (height / 2)) ** 2 + (v / (width / 2)) ** 2) <= cutoff:
                spectrum[..., row, column] = 0
    return np.fft.ifft2(spectrum).real


def spectrum(maps: Array, n: int) -> Array:
    values = np.linalg.svd(maps, compute_uv=False)
    return np.pad(values, ((0, 0), (0, n - values.shape[1])))


def correlation(x: Array, modulator: HFC) -> Array:
    weight = as_array(modulator.compress.weight)[0, :, 0, 0]
    whole = np.einsum("nchw,c->nhw", x, weight)
    high = high_pass(whole, modulator.cutoff)
    low = whole - high
    pairs = {
        "hfc": [(high, whole)],
        "lfc": [(low, whole)],
        "both": [(high, whole), (low, whole)],
        "both_hl": [(high, whole), (low, whole), (high, low)],
    }[modulator.query]
    height, width = x.shape[-2:]
    return np.stack([np.einsum("nh,nw->nhw", spectrum(q, height), spectrum(k, width)) for q, k in pairs], axis=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("query", QUERIES)
def test_module_is_its_equations(query, shape):
    modulator = module_of(query).double()
    x = map_of(6, shape)
    scores = correlation(as_array(x), modulator)
    assert relative_error(modulator.correlation(x), scores) < 1e-10
    gate = sigmoid(conv_of(scores, modulator.score))
    assert relative_error(modulator.gate(x), gate) < 1e-10
    check(modulator, x, as_array(x) * gate)


@pytest.mark.parametrize("cutoff", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (9, 14), (2, 3)])
def test_filter_is_its_definition(cutoff, size):
    modulator = module_of(cutoff=cutoff)
    maps = torch.randn(2, 1, *size, dtype=torch.double)
    wanted = high_pass(as_array(maps), cutoff)
    assert np.abs(as_array(modulator.high_frequencies(maps)) - wanted).max() < 1e-12
    passes = filter_of(*size, cutoff)
    assert passes[0, 0] == 0
    # symmetric in the signs of both frequencies, so that the filtered map is real
    mirrored = np.roll(passes[::-1, ::-1], 1, axis=(0, 1))
    assert np.array_equal(passes, mirrored)


def test_a_flat_map_has_no_high_frequencies():
    modulator = module_of()
    flat = torch.full((1, 6, 8, 8), 0.7)
    assert modulator.high_frequencies(modulator.compress(flat)).abs().max() < 1e-6
    assert modulator.correlation(flat).abs().max() < 1e-5
    torch.testing.assert_close(modulator.gate(flat), torch.full((1, 1, 8, 8), 0.5))


def test_a_wave_is_high_or_low_by_its_cycles():
    modulator = module_of(cutoff=0.25)
    angles = 2 * np.pi * torch.arange(16, dtype=torch.double) / 16
    for cycles, is_high in ((1, False), (2, False), (3, True), (8, True)):
        wave = torch.cos(cycles * angles).expand(1, 1, 12, 16)
        high = modulator.high_frequencies(wave)
        assert torch.allclose(high, wave if is_high else torch.zeros_like(wave), atol=1e-12)


def test_score_of_a_rank_one_map_is_one_number():
    """x~ = s u v^T has the one singular value s; with the mean taken out of u and v, h = x~ at cutoff 0."""
    modulator = module_of(cutoff=0.0).double()
    torch.nn.init.constant_(modulator.compress.weight, 1 / 6)
    u, v = (t - t.mean() for t in (torch.randn(5, dtype=torch.double), torch.randn(8, dtype=torch.double)))
    maps = 3 * torch.outer(u / u.norm(), v / v.norm())
    scores = modulator.correlation(maps.expand(1, 6, 5, 8))
    wanted = torch.zeros(1, 1, 5, 8, dtype=torch.double)
    wanted[0, 0, 0, 0] = 9
    assert torch.allclose(scores, wanted, atol=1e-12)


@pytest.mark.parametrize("query", QUERIES)
def test_gradients_are_right(query):
    check_gradients(module_of(query).double(), 2, 6, 5, 4)


@pytest.mark.parametrize("query", QUERIES)
def test_gradients_of_degenerate_maps_are_finite(query):
    stripes = torch.ones(2, 6, 8, 8)
    stripes[..., ::2] = -1
    for maps in (torch.zeros(2, 6, 8, 8), torch.ones(2, 6, 8, 8), stripes):
        modulator = module_of(query)
        x = maps.clone().requires_grad_()
        modulator(x).sum().backward()
        assert x.grad.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in modulator.parameters())
