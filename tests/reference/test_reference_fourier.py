"""The Fourier transform by matrix products against numpy's and against known spectra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.models.layers.fourier import dft2, inverse_dft2

SHAPES = [(1, 1, 1, 1), (2, 3, 8, 8), (1, 2, 7, 12), (3, 4, 14, 5), (2, 1, 1, 9), (5, 6), (4, 3, 28, 28)]


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_transform_is_numpys(shape, dtype, limit):
    x = torch.randn(*shape, dtype=torch.float64)
    wanted = np.fft.fft2(x.numpy(), norm="ortho")
    real, imaginary = dft2(x.to(dtype))
    assert real.dtype == imaginary.dtype == dtype
    error = np.abs(real.double().numpy() + 1j * imaginary.double().numpy() - wanted).max()
    assert error < limit * np.abs(wanted).max()


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_inverse_is_numpys_and_undoes_the_transform(shape, dtype, limit):
    spectrum = np.random.default_rng(0).normal(size=(2, *shape))
    wanted = np.fft.ifft2(spectrum[0] + 1j * spectrum[1], norm="ortho").real
    given = inverse_dft2(*torch.from_numpy(spectrum).to(dtype))
    assert np.abs(given.double().numpy() - wanted).max() < limit * np.abs(wanted).max()
    x = torch.randn(*shape, dtype=dtype)
    torch.testing.assert_close(inverse_dft2(*dft2(x)), x, rtol=0, atol=10 * limit)


def test_known_spectra():
    flat = torch.full((4, 6), 0.5, dtype=torch.float64)
    real, imaginary = dft2(flat)
    assert real[0, 0].item() == pytest.approx(0.5 * 24**0.5)
    real[0, 0] = 0
    assert max(real.abs().max(), imaginary.abs().max()) < 1e-14
    # A cosine of 2 periods along the width of 8: half of its amplitude at +2 and at -2.
    wave = torch.cos(2 * torch.pi * 2 * torch.arange(8, dtype=torch.float64) / 8).expand(3, 8)
    real, imaginary = dft2(wave)
    assert real[0, [2, 6]].numpy() == pytest.approx(24**0.5 / 2)
    real[0, [2, 6]] = 0
    assert max(real.abs().max(), imaginary.abs().max()) < 1e-14


def test_gradients_are_right():
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dft2, (x,))
    assert torch.autograd.gradcheck(inverse_dft2, (x, torch.randn_like(x)))


def test_sixteen_bits_are_widened():
    x = torch.randn(1, 2, 14, 14)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        real, imaginary = dft2(x)
    assert real.dtype == imaginary.dtype == torch.float32
    assert torch.equal(real, dft2(x)[0])
    assert dft2(x.bfloat16())[0].dtype == torch.float32
