"""Depthwise convolutions that train as fast in 16 bits as they should."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.layers.precision import full_precision, widened


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, without bias, padded to keep the size at stride 1.

    On processors, oneDNN has no fast backward pass in bf16 for strided depthwise convolutions and for maps smaller than
    the kernel: they take many times as long as in 32 bits, most of a training step of MobileNetV2. Those run in
    32 bits there; the output has the type of the input. Everywhere else it is `nn.Conv2d`.

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
