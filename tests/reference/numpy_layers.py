"""Layers written from their definitions in float64 numpy, to compare the networks' parts with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float64]


def made(module: nn.Module) -> nn.Module:
    """Return a module in float64 and evaluation, its batch norms as training might have left them."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return module.double().eval()


def as_array(tensor) -> Array:
    return tensor.detach().double().numpy()


def conv2d(x: Array, weight: Array, bias: Array | None = None, stride: int = 1, groups: int = 1) -> Array:
    """Cross-correlation of (N, C, H, W) with (O, C / groups, k, k), zero padding k // 2."""
    k = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::stride, ::stride]
    inputs = np.split(windows, groups, axis=1)
    kernels = np.split(weight, groups, axis=0)
    pairs = zip(inputs, kernels, strict=True)
    y = np.concatenate([np.einsum("nchwij,ocij->nohw", i, k) for i, k in pairs], axis=1)
    return y if bias is None else y + bias[:, None, None]


def batch_norm(x: Array, norm: nn.BatchNorm2d) -> Array:
    mean, var, weight, bias = (
        as_array(t)[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / np.sqrt(var + norm.eps) * weight + bias


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def conv_of(x: Array, conv: nn.Conv2d) -> Array:
    bias = None if conv.bias is None else as_array(conv.bias)
    return conv2d(x, as_array(conv.weight), bias, conv.stride[0], conv.groups)


def rep_conv(x: Array, layer) -> Array:
    """BN(W_k * x) + BN(W_1 * x) + BN(x), the first two with the layer's stride, the last where the layer has it."""
    point = conv2d(x, as_array(layer.point_conv.weight), None, layer.conv.stride[0], layer.point_conv.groups)
    y = batch_norm(conv_of(x, layer.conv), layer.bn) + batch_norm(point, layer.point_bn)
    return y if layer.identity_bn is None else y + batch_norm(x, layer.identity_bn)


def relative_error(given, wanted: Array) -> float:
    return float(np.abs(as_array(given) - wanted).max() / np.abs(wanted).max())
