"""A fully convolutional face detector: each cell of 8 x 8 pixels says whether a face's centre is near."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mien.models.layers.depthwise import DepthwiseConv2d

STRIDE = 8
OUTPUTS = 6
# The probability of a face that every cell starts with: faces are rare.
FIRST_LOGIT = -4.0
MEAN, STD = 127.5, 64.0


class FaceDetector(nn.Module):
    """Three strided convolutions, then depthwise blocks.

    Shape: (N, 1, H, W), grey values from 0 to 255, H and W multiples of 8 -> (N, 6, H / 8, W / 8): for each cell the
    logit of "a face's centre is here", its x and y from the cell's centre in units of 8 pixels, log(side / 28 pixels),
    and the sine and cosine of its roll, up to a common factor.

    Args:
        stem: Channels of the strided convolutions.
        width: Channels of the blocks.
        kernels: Kernel sizes of the blocks.
    """

    def __init__(
        self,
        stem: Sequence[int] = (16, 24, 64),
        width: int = 96,
        kernels: Sequence[int] = (3, 3, 5, 3, 3, 5, 3),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for out in stem:
            layers.append(_convolution(nn.Conv2d(channels, out, 3, 2, 1, bias=False)))
            channels = out
        for kernel in kernels:
            layers.append(DepthwiseBlock(channels, width, kernel))
            channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(channels, OUTPUTS, 1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.head.bias[0] = FIRST_LOGIT  # type: ignore[index]

    def forward(self, images: Tensor) -> Tensor:
        """Return the maps."""
        maps: Tensor = self.head(self.features((images - MEAN) / STD))
        return maps


class DepthwiseBlock(nn.Module):
    """A depthwise and a pointwise convolution, added to the input if the number of channels stays the same."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = _convolution(DepthwiseConv2d(channels, kernel))
        self.pointwise = _convolution(nn.Conv2d(channels, out, 1, bias=False))
        self.adds = channels == out

    def forward(self, maps: Tensor) -> Tensor:
        """Return the filtered maps, of the same size."""
        filtered: Tensor = self.pointwise(self.depthwise(maps))
        return maps + filtered if self.adds else filtered


def _convolution(layer: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU())
