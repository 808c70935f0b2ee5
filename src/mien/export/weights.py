"""Store weights in half precision or as int8: round them in the torch network, then store them in the ONNX file.

Both steps use the same rule, so that the file can be checked against the rounded network. Operators compute in 32 bits
either way: this saves space, not time.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

WeightBits = Literal[8, 16, 32]
LARGEST = 127
# Largest relative difference between 8-bit values times their scale and a weight: the rounding of 32-bit products.
ROUNDING = 1e-6


def round_to_half(network: nn.Module) -> None:
    """Round every weight of two or more dimensions to 16 bits, in place."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim > 1:
                tensor.copy_(tensor.half().float())


def round_to_int8(network: nn.Module) -> None:
    """Round the weights of convolutions and linear layers, in place, to multiples of a scale per output channel.

    The scale is the channel's largest absolute weight / 127, so the multiples are -127 to 127: symmetric, without a
    zero point (Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018, section 2.2).
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                channels = layer.weight.flatten(1)
                scale = channels.abs().amax(1, keepdim=True) / LARGEST
                scale = torch.where(scale > 0, scale, torch.ones_like(scale))
                layer.weight.copy_(((channels / scale).round() * scale).reshape(layer.weight.shape))


def store_half(model: Any) -> None:
    """Store in 16 bits, followed by a Cast, every float tensor that this does not change.

    These are the weights rounded before; constants such as a Fourier matrix keep 32 bits.
    """
    nodes = []
    for initializer, full in _matrices(model):
        name = initializer.name
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        if np.array_equal(half.astype(np.float32), full):
            initializer.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    _insert_first(model, nodes)


def store_int8(model: Any) -> None:
    """Store in 8 bits, followed by a DequantizeLinear, every float tensor that this does not change.

    These are the weights rounded before, also if the exporter transposed them or folded a batch norm into them: both
    keep the multiples and change only the scales.
    """
    nodes = []
    for initializer, full in _matrices(model):
        axis = next((axis for axis in (0, full.ndim - 1) if _is_int8(full, axis)), None)
        if axis is None:
            continue
        name = initializer.name
        multiples, scale = _quantized(full, axis)
        names = [f"{name}.{part}" for part in ("int8", "scale", "zero")]
        initializer.CopyFrom(numpy_helper.from_array(multiples, names[0]))
        for own, values in zip(names[1:], (scale.reshape(-1), np.zeros(scale.size, dtype=np.int8)), strict=True):
            model.graph.initializer.append(numpy_helper.from_array(values, own))
        nodes.append(helper.make_node("DequantizeLinear", names, [name], axis=axis))
    _insert_first(model, nodes)


def _quantized(full: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    others = tuple(other for other in range(full.ndim) if other != axis)
    scale = np.abs(full).max(axis=others, keepdims=True) / np.float32(LARGEST)
    scale = np.where(scale > 0, scale, np.float32(1))
    return np.rint(full / scale).astype(np.int8), scale


def _is_int8(full: NDArray[np.float32], axis: int) -> bool:
    """Tell whether a tensor consists of integer multiples of a scale along an axis, and is smaller stored that way."""
    if not np.isfinite(full).all():
        return False
    multiples, scale = _quantized(full, axis)
    is_smaller = multiples.nbytes + 5 * scale.size < full.nbytes
    return is_smaller and np.allclose(multiples * scale, full, rtol=ROUNDING, atol=0)


def _matrices(model: Any) -> list[tuple[Any, NDArray[np.float32]]]:
    """Return the float tensors of two or more dimensions, each with its values."""
    return [
        (initializer, numpy_helper.to_array(initializer))
        for initializer in model.graph.initializer
        if initializer.data_type == onnx.TensorProto.FLOAT and len(initializer.dims) >= 2
    ]


def _insert_first(model: Any, nodes: list[Any]) -> None:
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
