"""The two-dimensional discrete Fourier transform as products with constant matrices.

Feature maps are small, so two matrix products cost less than a fast transform, and they are exported as standard
operators that every ONNX runtime has, also in a browser.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mien.models.layers.precision import full_precision, widened
from mien.models.layers.tracing import constant_of, map_size


def dft2(maps: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return real and imaginary part of the orthonormal transform over the last two axes.

    .. math:: F_{uv} = \frac{1}{\sqrt{HW}} \sum_{h,w} x_{hw}\, e^{-2 \pi i (uh/H + vw/W)}

    Shape: (..., H, W) -> two of (..., H, W), the zero frequency first. Types: as `maps`, at least float32.
    """
    height, width = map_size(maps)
    cos_h, sin_h = _matrices(height, maps)
    cos_w, sin_w = _matrices(width, maps)
    with full_precision(maps):
        maps = widened(maps)
        by_cos, by_sin = maps @ cos_w, maps @ sin_w
        return cos_h @ by_cos - sin_h @ by_sin, -(sin_h @ by_cos + cos_h @ by_sin)


def inverse_dft2(real: Tensor, imaginary: Tensor) -> Tensor:
    r"""Return the real part of the orthonormal inverse transform over the last two axes.

    .. math:: x_{hw} = \mathrm{Re} \frac{1}{\sqrt{HW}} \sum_{u,v} F_{uv}\, e^{2 \pi i (uh/H + vw/W)}

    Shape: two of (..., H, W) -> (..., H, W).
    """
    height, width = map_size(real)
    cos_h, sin_h = _matrices(height, real)
    cos_w, sin_w = _matrices(width, real)
    with full_precision(real):
        real, imaginary = widened(real), widened(imaginary)
        return cos_h @ (real @ cos_w - imaginary @ sin_w) - sin_h @ (real @ sin_w + imaginary @ cos_w)


def _matrices(n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (n, n) matrices of cosines and sines on the device of `like`."""
    return constant_of(_cosines, n, like=like), constant_of(_sines, n, like=like)


def _cosines(n: int) -> NDArray[np.float64]:
    return np.asarray(np.cos(_angles(n)) / np.sqrt(n))


def _sines(n: int) -> NDArray[np.float64]:
    return np.asarray(np.sin(_angles(n)) / np.sqrt(n))


def _angles(n: int) -> NDArray[np.float64]:
    # modulo n keeps the angles small and so the cosines exact
    return np.asarray(2 * np.pi / n * (np.outer(np.arange(n), np.arange(n)) % n), dtype=np.float64)
