"""Weights in fewer bits: rounded in the torch network first, then stored so in the ONNX file.

Both steps keep to one rule, so that the file can be checked against the rounded network. Operators calculate in 32 bits
either way: what is saved is space, not time.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mien.models.network import Network

WeightBits = Literal[8, 16, 32]
LARGEST = 127
# How far 8-bit values times their scale may be from a stored weight, as a share of it: rounding of 32-bit products.
ROUNDING = 1e-6


def round_to_half(network: Network) -> None:
    """Round every weight of two and more dimensions to 16 bits, in place."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim > 1:
                tensor.copy_(tensor.half().float())


def round_to_int8(network: Network) -> None:
    """Round the weights of convolutions and linear layers, in place, to whole multiples of a scale per output channel.

    The scale is the channel's largest absolute weight / 127, so the multiples are -127 to 127: symmetric, without a
    zero point (Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018, section 2.2).
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.copy_(_rounded(layer.weight))


def _rounded(weight: Tensor) -> Tensor:
    channels = weight.flatten(1)
    scale = channels.abs().amax(1, keepdim=True) / LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return ((channels / scale).round() * scale).reshape(weight.shape)


def store_half(model: Any) -> None:
    """Store in 16 bits, with a Cast before its first use, every float tensor that loses nothing by it.

    These are the weights that were rounded before; constants such as a Fourier matrix stay as they are.
    """
    nodes = []
    for initializer, full in _matrices(model):
        name = initializer.name
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), full):
            continue
        initializer.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    _insert_first(model, nodes)


def store_int8(model: Any) -> None:
    """Store in 8 bits, with a DequantizeLinear before its first use, every float tensor that loses nothing by it.

    These are the weights that were rounded before, also where the exporter has transposed them or folded a batch norm
    into them: either keeps the multiples and changes the scales alone.
    """
    nodes = []
    for initializer, full in _matrices(model):
        found = next((axis for axis in (0, full.ndim - 1) if _is_int8(full, axis)), None)
        if found is None:
            continue
        name = initializer.name
        multiples, scale = _quantized(full, found)
        names = [f"{name}.{part}" for part in ("int8", "scale", "zero")]
        zero = np.zeros(scale.size, dtype=np.int8)
        initializer.CopyFrom(numpy_helper.from_array(multiples, names[0]))
        # at the end: the list that is gone through was made before
        model.graph.initializer.append(numpy_helper.from_array(scale.reshape(-1), names[1]))
        model.graph.initializer.append(numpy_helper.from_array(zero, names[2]))
        nodes.append(helper.make_node("DequantizeLinear", names, [name], axis=found))
    _insert_first(model, nodes)


def _quantized(full: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    others = tuple(other for other in range(full.ndim) if other != axis)
    scale = np.abs(full).max(axis=others, keepdims=True) / np.float32(LARGEST)
    scale = np.where(scale > 0, scale, np.float32(1))
    return np.rint(full / scale).astype(np.int8), scale


def _is_int8(full: NDArray[np.float32], axis: int) -> bool:
    """Return whether a tensor is whole multiples of a scale along an axis, and smaller when stored so."""
    if not np.isfinite(full).all():
        return False
    multiples, scale = _quantized(full, axis)
    is_smaller = multiples.nbytes + 5 * scale.size < full.nbytes
    return is_smaller and np.allclose(multiples * scale, full, rtol=ROUNDING, atol=0)


def _matrices(model: Any) -> list[tuple[Any, NDArray[np.float32]]]:
    """Return the float tensors of two and more dimensions in a file, each with its values."""
    return [
        (initializer, numpy_helper.to_array(initializer))
        for initializer in model.graph.initializer
        if initializer.data_type == onnx.TensorProto.FLOAT and len(initializer.dims) >= 2
    ]


def _insert_first(model: Any, nodes: list[Any]) -> None:
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
