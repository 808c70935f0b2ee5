"""RepConv: several branches in training, one convolution when deployed (RepVGG, Ding et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.layers.folding import convolution_like, folded_weight_and_bias, norm_scale_and_shift


class RepConv(nn.Module):
    r"""A k x k convolution with a parallel 1 x 1 convolution and, where the shapes allow, an identity.

    .. math:: y = \mathrm{BN}(W_k * x) + \mathrm{BN}(W_1 * x) + \mathrm{BN}(x)

    where no convolution has a bias and every branch has its own batch norm. The identity exists if the layer keeps both
    channels and resolution. The caller applies the activation.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Source: DeSpaM's figure and released code; its parameter counts determine the branches
    (`mien.models.papers.despam`).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd, at least 3.
        stride: Stride of all branches, in positions.
        groups: Groups of both convolutions; `in_channels` makes the layer depthwise.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; it must be odd and at least 3.")
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.point_conv = nn.Conv2d(in_channels, out_channels, 1, groups=groups, bias=False)
        self.point_bn = nn.BatchNorm2d(out_channels)
        keeps_shape = in_channels == out_channels and stride == 1
        self.identity_bn = nn.BatchNorm2d(out_channels) if keeps_shape else None

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of the branches."""
        # Strided here, not in the 1 x 1 convolution: the result is the same, and oneDNN's gradient of that convolution
        # with a stride writes past its buffers for few channels in channels-last order (torch 2.13).
        positions = maps[:, :, :: self.stride, :: self.stride]
        summed: Tensor = self.bn(self.conv(maps)) + self.point_bn(self.point_conv(positions))
        return summed if self.identity_bn is None else summed + self.identity_bn(maps)

    @torch.no_grad()
    def fold(self) -> nn.Conv2d:
        """Return one biased k x k convolution with this layer's function in evaluation."""
        weight, bias = folded_weight_and_bias(self.conv, self.bn)
        point_weight, point_bias = folded_weight_and_bias(self.point_conv, self.point_bn)
        middle = weight.shape[-1] // 2
        weight[:, :, middle, middle] += point_weight[:, :, 0, 0]
        bias = bias + point_bias
        if self.identity_bn is not None:
            scale, shift = norm_scale_and_shift(self.identity_bn)
            channels = torch.arange(len(scale), device=scale.device)
            # Output channel c reads input channel c, which has the index (c mod group width) in its group.
            weight[channels, channels % weight.shape[1], middle, middle] += scale
            bias = bias + shift
        return convolution_like(self.conv, weight, bias)
