"""ResNet-18 with a CBAM in every residual block.

Source: Woo, Park, Lee and Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, Fig. 3 and Table 4. A
comparator of SLDCNN's section 5.3.

Exact counts: 11,779,392 parameters with 3 input channels and 1000 classes, the 11.78 M of CBAM's paper; 11,269,983 with
3 and 7. The modules are CBAM's released version, with biases and a batch norm, at reduction 16.

Deviations: none known. To put CBAM after a stage instead, use `resnet18` with `modulators = {stage1 = "cbam", ...}`.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from mien.models.backbones.resnet import BasicBlock, ResNet
from mien.models.modulators.cbam import CBAM
from mien.models.network import NetworkSpec, Stage


class CBAMBlock(BasicBlock):
    r"""A basic block whose residual branch is weighted before the shortcut is added.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, use_branches: bool = False) -> None:
        super().__init__(in_channels, out_channels, stride, use_branches=use_branches)
        self.attention = CBAM(Stage("block", out_channels, stride), version="released")

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        hidden = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.attention(self.bn2(self.conv2(hidden))) + shortcut)


class CBAMResNet(ResNet):
    """A ResNet of `CBAMBlock`s; the options are those of `ResNet`."""

    block: ClassVar[type[BasicBlock]] = CBAMBlock


NETWORKS = (
    NetworkSpec(
        name="resnet18_cbam",
        build=CBAMResNet,
        paper="Woo et al. 2018, CBAM: Convolutional Block Attention Module",
        summary="ResNet-18 with channel and spatial attention in every block.",
        input=(3, 224, 224),
    ),
)
