"""Sizes and constants while a network is traced for export.

There sizes are symbols and the tracer warns when a part reads one as a number or makes a tensor from numbers. An
exported file has one input size, so for parts that build constants from the map's size (a Fourier matrix, a
resized kernel) both are right.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.jit._trace import TracerWarning


def map_size(maps: Tensor) -> tuple[int, int]:
    """Return (height, width) of a map (..., H, W) as Python integers."""
    if not torch.onnx.is_in_onnx_export():
        return maps.shape[-2], maps.shape[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TracerWarning)
        return int(maps.shape[-2]), int(maps.shape[-1])


def constant(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """Return numbers as a tensor on the device of `like`, in float64 where that is float64, else in float32."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    if not torch.onnx.is_in_onnx_export():
        return torch.as_tensor(values, dtype=dtype, device=like.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TracerWarning)
        return torch.as_tensor(values, dtype=dtype, device=like.device)
