"""All singular values of a batch of small matrices, also in exported files, which have only standard ONNX operators.

In training and evaluation they come from torch's decomposition, with gradients. No ONNX operator computes them, so an
exported network has two loops of standard operators instead: Householder reflections reduce the matrix to two diagonals
(Golub and Kahan 1965, "Calculating the Singular Values and Pseudo-Inverse of a Matrix"), and Sturm counts locate all
the values at once. The number of steps depends only on the size of the matrix: the loops cannot fail to converge, and
every input takes the same time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from mien.models.layers.precision import full_precision, widened
from mien.models.layers.tracing import constant, map_size

P = ParamSpec("P")
R = TypeVar("R")

# Cells that the interval of the values is divided into: half a cell is float32's resolution at its upper end.
CELLS = 2**24
# Rounds of subdividing the cell of every value; three need the fewest steps for 7 to 112 columns.
ROUNDS = 3
# Side of the largest matrices that CUDA's library decomposes in batches. It loops over larger ones, which takes longer
# than on the CPU (results/accelerator.json).
LARGEST_BATCHED = 32
# Lower limit of denominators. `clamp_min`, never `x + tiny`: exporters drop a small addition and leave 0 / 0.
TINY = 1e-30
# Lower limit of the squares b^2 in the Sturm recurrence: prevents 0 / 0, and is far below the resolution.
LEAST_SQUARE = 1e-20


def singular_values(matrices: Tensor) -> Tensor:
    r"""Return all singular values in descending order.

    .. math:: A = \sum_i \sigma_i u_i v_i^T, \quad
        \frac{\partial \sigma_i}{\partial A} = u_i v_i^T, \quad \sigma_1 \ge \sigma_2 \ge \dots \ge 0

    The gradient has no difference of singular values in a denominator, so it is finite for repeated and for zero ones.

    Shape: (N, H, W) -> (N, min(H, W)). Types: as `matrices`, at least float32. Error in exported files: below 1e-6 of
    the matrix's largest value. In training and evaluation torch raises an error for a matrix that is not finite.
    """
    with full_precision(matrices):
        matrices = widened(matrices)
        if torch.onnx.is_in_onnx_export():
            return portable_singular_values(matrices)
        if matrices.is_cuda and min(matrices.shape[1:]) > LARGEST_BATCHED:
            return values_by_processor(matrices)
        values: Tensor = torch.linalg.svdvals(matrices)
        return values


def values_by_processor(matrices: Tensor) -> Tensor:
    """Return the same as `singular_values`, computed on the CPU by as many threads as torch uses; with gradients."""
    parts = matrices.cpu().chunk(torch.get_num_threads())
    with ThreadPoolExecutor(len(parts)) as pool:
        return torch.cat(list(pool.map(torch.linalg.svdvals, parts))).to(matrices.device)


def portable_singular_values(matrices: Tensor) -> Tensor:
    """Return the same as `singular_values`, computed by standard operators; without gradients."""
    height, width = map_size(matrices)
    size = max(height, width, 2)
    largest = matrices.abs().amax((1, 2), keepdim=True).clamp_min(TINY)
    # Zero rows or columns make the matrix square and add zero values, which come last.
    square = _padded(_padded(matrices / largest, 1, size - height), 2, size - width)
    entries = torch.zeros_like(square[:, 0, :1]).expand(-1, 2 * size - 1)
    entries = _as_loop(_bidiagonalize)(square, entries, 2 * size - 1)
    return _values_of_bidiagonal(entries, size, min(height, width)) * largest[:, 0]


def _bidiagonalize(square: Tensor, entries: Tensor, steps: int) -> Tensor:
    """Return the absolute entries d_1, e_1, d_2, e_2 ... d_n of the bidiagonal form, (N, 2n - 1).

    Each step reflects the matrix so that its first column is zero below the first entry, whose absolute value is then
    the column's norm. The other columns are transposed, so the next step does the same to a row. A zero column replaces
    the finished one, because a loop in an exported file must keep its shapes.

    Args:
        square: The matrices (N, n, n).
        entries: Initial values (N, 2n - 1), all of which are overwritten.
        steps: The number of entries, 2n - 1.
    """
    zero = torch.zeros_like(square[:, :, :1])
    for _ in range(steps):
        column = square[:, :, 0]
        norm = torch.linalg.vector_norm(column, dim=1, keepdim=True)
        first = column[:, :1]
        pivot = first + torch.where(first < 0, -norm, norm)
        normal = torch.cat([pivot, column[:, 1:]], dim=1)
        scaled = normal / (norm * pivot.abs()).clamp_min(1e-30)
        rest = square[:, :, 1:]
        rest = rest - normal.unsqueeze(2) * torch.matmul(scaled.unsqueeze(1), rest)
        entries = torch.cat([entries[:, 1:], norm], dim=1)
        square = torch.cat([rest, zero], dim=2).transpose(1, 2)
    return entries


def _values_of_bidiagonal(entries: Tensor, size: int, n: int) -> Tensor:
    r"""Return the n largest singular values (N, n) of bidiagonal matrices (N, 2 size - 1), descending.

    The symmetric tridiagonal matrix with a zero diagonal and the off-diagonal :math:`b = (d_1, e_1, d_2, \dots)` has
    the eigenvalues :math:`\pm\sigma_i`. The number of them below x is the number of negative values among

    .. math:: q_1 = -x, \qquad q_{k+1} = -x - b_k^2 / q_k

    (Barth, Martin and Wilkinson 1967). The first round counts on one grid for all values, the next ones on a grid
    inside each value's cell.
    """
    bound = torch.maximum((entries[:, 1:] + entries[:, :-1]).amax(1, keepdim=True), entries[:, :1]).clamp_min(TINY)
    squares = (entries / bound).square().clamp_min(LEAST_SQUARE)
    squares = squares.transpose(0, 1).unsqueeze(2).unsqueeze(3)
    # Below any x > 0 lie all `size` negative eigenvalues, and the singular values below x.
    most_below = constant(np.arange(2.0 * size - 1, 2 * size - 1 - n, -1)[:, None], entries)
    points = int(np.ceil((CELLS / size) ** (1 / ROUNDS)))
    lower, cell = torch.zeros_like(bound).unsqueeze(2), 1.0
    for count in (size * points, *[points] * (ROUNDS - 1)):
        cell /= count + 1
        grid = lower + constant(cell * np.arange(1.0, count + 1), entries)
        negative = _as_loop(_count_negative)(squares, grid)
        lower = lower + (negative <= most_below).to(entries.dtype).sum(2, keepdim=True) * cell
    return (lower[:, :, 0] + cell / 2) * bound


def _count_negative(squares: Tensor, points: Tensor) -> Tensor:
    """Return how many q are negative at each point, in the shape of `points`.

    A q of zero counts as positive and makes the next one minus infinity, which IEEE 754 arithmetic handles.

    Args:
        squares: b^2, (2 size - 1, N, 1, 1).
        points: x > 0, (N, ..., S).
    """
    start = -points
    q = start
    count = torch.ones_like(points)
    for k in range(squares.shape[0]):
        q = start - squares[k] / q
        count = count + (q < 0).to(points.dtype)
    return count


def _padded(matrices: Tensor, axis: int, by: int) -> Tensor:
    zeros = torch.zeros_like(matrices.narrow(axis, 0, 1))
    return torch.cat([matrices, *[zeros] * by], dim=axis)


def _as_loop(function: Callable[P, R]) -> Callable[P, R]:
    """During an export, script the function, so that its loop is exported as a loop and not unrolled."""
    if not torch.onnx.is_in_onnx_export():
        return function
    with warnings.catch_warnings():  # the exporter has no other way to make a loop
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted: Callable[P, R] = torch.jit.script(function)
    return scripted
