"""Layers written from their definitions in float64 numpy, to compare the networks' parts with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]

# Images, height, width.
SHAPES = [(1, 9, 14), (3, 8, 8), (2, 1, 5)]


def made(module: nn.Module) -> nn.Module:
    """Return a module in float64 and evaluation, its batch norms as after training."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.5)
            norm.running_mean.normal_(std=0.5)
            norm.running_var.uniform_(0.5, 2)
    return module.double().eval()


def map_of(channels: int, shape: tuple[int, int, int]) -> Tensor:
    """Return random maps (images, channels, height, width) in float64."""
    return torch.randn(shape[0], channels, *shape[1:], dtype=torch.double)


def as_array(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def relative_error(given: Tensor, wanted: Array) -> float:
    assert given.shape == wanted.shape
    return float(np.abs(as_array(given) - wanted).max() / np.abs(wanted).max())


def check(module: nn.Module, x: Tensor, wanted: Array, limit: float = 1e-10) -> None:
    """Compare a module's output with the reference, in float64 and then in float32."""
    assert relative_error(module(x), wanted) < limit
    assert relative_error(module.float()(x.float()), wanted) < 1e-5


def check_gradients(module: nn.Module, *shape: int) -> None:
    """Compare gradients by the input with differences, in float64."""
    assert torch.autograd.gradcheck(module, (torch.randn(shape, dtype=torch.double, requires_grad=True),))


def conv2d(
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, groups: int = 1, dilation: int = 1
) -> Array:
    """Cross-correlation of (N, C, H, W) with (O, C / groups, kh, kw), padded with zeros to keep the size."""
    high, wide = (dilation * (k - 1) + 1 for k in weight.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), (high // 2, high // 2), (wide // 2, wide // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (high, wide), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]
    pairs = zip(np.split(windows, groups, axis=1), np.split(weight, groups, axis=0), strict=True)
    y = np.concatenate([np.einsum("nchwij,ocij->nohw", inputs, kernels) for inputs, kernels in pairs], axis=1)
    return y if bias is None else y + bias[:, None, None]


def conv_of(x: Array, conv: nn.Conv2d) -> Array:
    bias = None if conv.bias is None else as_array(conv.bias)
    return conv2d(x, as_array(conv.weight), bias, stride=conv.stride[0], groups=conv.groups, dilation=conv.dilation[0])


def linear(x: Array, layer: nn.Linear) -> Array:
    y = x @ as_array(layer.weight).T
    return y if layer.bias is None else y + as_array(layer.bias)


def batch_norm(x: Array, norm: nn.BatchNorm2d) -> Array:
    mean, var, weight, bias = (
        as_array(t)[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / np.sqrt(var + norm.eps) * weight + bias


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def excite(z: Array, layers) -> Array:
    """Two linear layers with a ReLU between them."""
    return linear(relu(linear(z, layers.reduce)), layers.expand)


def rep_conv(x: Array, layer) -> Array:
    """BN(W_k * x) + BN(W_1 * x) + BN(x), the first two with the layer's stride, the last where the layer has it."""
    groups = layer.point_conv.groups
    point = conv2d(x, as_array(layer.point_conv.weight), stride=layer.conv.stride[0], groups=groups)
    y = batch_norm(conv_of(x, layer.conv), layer.bn) + batch_norm(point, layer.point_bn)
    return y if layer.identity_bn is None else y + batch_norm(x, layer.identity_bn)
