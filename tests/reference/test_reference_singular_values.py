"""Singular values, as torch computes them and as exported files do, against numpy's decomposition in float64."""

from __future__ import annotations

import io

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from mien.models.layers.singular_values import (
    LARGEST_BATCHED,
    portable_singular_values,
    singular_values,
    values_by_processor,
)

SIZES = [(1, 1), (2, 2), (3, 3), (1, 6), (7, 7), (5, 9), (14, 8), (14, 14), (28, 28), (56, 56)]


class Decomposition(nn.Module):
    def forward(self, matrices):
        return singular_values(matrices)


def matrices_of(height: int, width: int) -> dict[str, torch.Tensor]:
    """Matrices on which decompositions fail: without rank, with equal values, of extreme scale."""
    torch.manual_seed(0)
    random = torch.randn(3, height, width)
    spectrum = torch.logspace(0, -12, min(height, width))
    left, right = torch.linalg.qr(torch.randn(height, height))[0], torch.linalg.qr(torch.randn(width, width))[0]
    return {
        "random": random,
        "one image": random[:1],
        "zero": torch.zeros(2, height, width),
        "one zero among others": random * torch.tensor([1.0, 0.0, 1.0])[:, None, None],
        "constant": torch.full((1, height, width), -0.3),
        "rank 1": torch.randn(4, height, 1) @ torch.randn(4, 1, width),
        "rank 2": torch.randn(4, height, 2) @ torch.randn(4, 2, width),
        "one entry": corner(height, width)[None],
        "identity": torch.eye(max(height, width))[None, :height, :width],
        "orthogonal": (left[:, : min(height, width)] @ right[: min(height, width)])[None],
        "integers": torch.arange(height * width).reshape(1, height, width) % 3.0,
        "ill conditioned": (left[:, : len(spectrum)] * spectrum @ right[: len(spectrum)])[None],
        "tiny": random * 1e-18,
        "huge": random * 1e15,
    }


def corner(height: int, width: int) -> torch.Tensor:
    matrix = torch.zeros(height, width)
    matrix[-1, -1] = 2.0
    return matrix


def error(given: np.ndarray, matrices: torch.Tensor) -> float:
    """Largest error as a share of each matrix's largest value; infinite for NaN, a wrong shape or a wrong order."""
    wanted = np.linalg.svd(matrices.double().numpy(), compute_uv=False)
    if given.shape != wanted.shape or not np.isfinite(given).all():
        return np.inf
    scale = np.maximum(wanted[:, :1], 1e-30)
    if (np.diff(given, axis=1) > 1e-6 * scale).any():
        return np.inf
    return float((np.abs(given - wanted) / scale).max())


@pytest.mark.parametrize("size", SIZES)
def test_both_ways_are_numpys_values(size):
    for name, matrices in matrices_of(*size).items():
        assert error(singular_values(matrices).numpy(), matrices) < 1e-5, name  # LAPACK in float32
        assert error(singular_values(matrices.double()).numpy(), matrices) < 1e-12, name
        assert error(portable_singular_values(matrices).numpy(), matrices) < 1e-6, name
        # The cells are those of float32; in float64 they are all that is left of the error.
        assert error(portable_singular_values(matrices.double()).numpy(), matrices) < 1e-6, name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("size", SIZES)
def test_exported_file_gives_numpys_values_with_standard_operators(size):
    file = io.BytesIO()
    torch.onnx.export(
        Decomposition().eval(),
        (torch.randn(2, *size),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["matrices"],
        dynamic_axes={"matrices": {0: "n"}},
    )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])
    for name, matrices in matrices_of(*size).items():
        (given,) = session.run(None, {"matrices": matrices.numpy()})
        assert error(given, matrices) < 1e-6, name


def test_exact_zeros_between_the_points_do_not_miscount():
    """Integers make the recurrence hit zero exactly, where signs would be counted wrong."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        matrices = torch.randint(-2, 3, (50, 6, 6), generator=generator).float()
        assert error(portable_singular_values(matrices).numpy(), matrices) < 1e-6


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (5, 2)])
def test_gradients_are_right(size):
    torch.manual_seed(0)
    matrices = torch.randn(2, *size, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(singular_values, (matrices,))


@pytest.mark.parametrize("size", [(7, 7), (4, 6)])
def test_gradients_of_degenerate_matrices_are_finite_and_bounded(size):
    for name, matrices in matrices_of(*size).items():
        leaf = matrices.clone().requires_grad_()
        singular_values(leaf).sum().backward()
        # the sum's gradient is the sum of u v^T over orthonormal u and v
        assert leaf.grad.isfinite().all(), name
        assert leaf.grad.norm() <= min(size) ** 0.5 * len(matrices) ** 0.5 * (1 + 1e-4), name


def test_sixteen_bits_are_widened():
    matrices = torch.randn(2, 5, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = singular_values(matrices.bfloat16())
    assert values.dtype == torch.float32
    assert error(values.numpy(), matrices.bfloat16().float()) < 1e-6


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_give_the_same_values_and_gradients(threads):
    torch.set_num_threads(threads)
    for height, width in SIZES:
        for name, matrices in matrices_of(height, width).items():
            assert error(values_by_processor(matrices).numpy(), matrices) < 2e-6, name
        matrices = matrices_of(height, width)["random"].requires_grad_()
        gradients = [
            torch.autograd.grad(values(matrices).square().sum(), matrices)[0]
            for values in (values_by_processor, singular_values)
        ]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_large_matrices_of_an_accelerator_come_back_to_it():
    matrices = torch.rand(4, LARGEST_BATCHED + 1, 40, device="cuda", requires_grad=True)
    values = singular_values(matrices)
    values.sum().backward()
    assert values.is_cuda
    assert matrices.grad.is_cuda
    torch.testing.assert_close(values.cpu(), torch.linalg.svdvals(matrices.detach().cpu()))
