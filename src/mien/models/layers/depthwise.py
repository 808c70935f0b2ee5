"""Depthwise convolutions, fast in 16-bit training on processors too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.layers.precision import full_precision, widened


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, without bias, padded to keep the size at stride 1.

    On processors, oneDNN has no fast backward pass in bf16 for strided depthwise convolutions, nor for maps smaller
    than the kernel: they take many times as long as in 32 bits, most of a training step of MobileNetV2. These cases run
    in 32 bits; the output has the type of the input. Everything else is `nn.Conv2d`.

    Shape: (N, channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the filtered maps."""
        if not self._is_slow_in_bf16(maps):
            return super().forward(maps)
        with full_precision(maps):
            return super().forward(widened(maps)).to(maps.dtype)

    def _is_slow_in_bf16(self, maps: Tensor) -> bool:
        if maps.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return False
        return self.stride != (1, 1) or min(maps.shape[-2:]) < self.kernel_size[0]
