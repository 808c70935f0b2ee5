"""Sizes and constants while a network is traced for export.

While tracing, sizes are symbols, and the tracer warns when a part reads one as a number or makes a tensor from numbers.
An exported file has one input size, so both are correct for parts that build constants from the map's size (a Fourier
matrix, a resized kernel).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache

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
    """Return numbers as a tensor on the device of `like`, in float64 if that is float64, else in float32."""
    if not torch.onnx.is_in_onnx_export():
        return torch.as_tensor(values, dtype=_dtype(like), device=like.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TracerWarning)
        return torch.as_tensor(values, dtype=_dtype(like), device=like.device)


def constant_of(function: Callable[..., NDArray[np.float64]], *arguments: float, like: Tensor) -> Tensor:
    """Return `constant(function(*arguments), like)`, computed and uploaded once per type and device.

    An upload waits for the device, so one at every step would stop it from running ahead.
    """
    if torch.onnx.is_in_onnx_export() or torch.compiler.is_compiling():
        return constant(function(*arguments), like)
    return _kept(function, arguments, _dtype(like), like.device)


@lru_cache(maxsize=256)
def _kept(
    function: Callable[..., NDArray[np.float64]], arguments: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Tensor:
    with torch.inference_mode(mode=False):  # a constant made in validation must also work in training
        return torch.as_tensor(function(*arguments), dtype=dtype, device=device)


def _dtype(like: Tensor) -> torch.dtype:
    return torch.float64 if like.dtype == torch.float64 else torch.float32
