"""EfficientNet: inverted residuals with squeeze and excitation, scaled in width and depth together.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, Table 1 and
section 4. A comparator of SLDCNN's section 5.3.

With 3 input channels and 1000 classes `efficientnet_b2` has the published 9,109,994 parameters.
"""

from __future__ import annotations

import math
from itertools import accumulate

import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.backbones.mobilenet_v2 import rounded_channels
from mien.models.layers.depthwise import DepthwiseConv2d
from mien.models.layers.excitation import Excitation
from mien.models.layers.stochastic_depth import StochasticDepth
from mien.models.network import Network, NetworkSpec, Stage

STEM_CHANNELS, LAST_CHANNELS = 32, 1280
# Expansion, kernel, channels, repeats of the seven stages of the baseline: the rows of Table 1.
ROWS = ((1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3), (6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1))
STRIDES = (1, 2, 2, 2, 1, 2, 1)


class MBConv(nn.Module):
    r"""Expand the channels, filter each by itself, weight the channels, project, and add the input.

    SiLU follows the first two convolutions; the input is added if the shape stays the same.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a row of the table
        self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int, drop: float
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = _norm_silu(nn.Conv2d(in_channels, hidden, 1, bias=False)) if expansion != 1 else nn.Identity()
        self.filter = _norm_silu(DepthwiseConv2d(hidden, kernel, stride))
        self.excitation = Excitation(hidden, max(1, in_channels // 4), use_bias=True, activation=F.silu)
        self.project = nn.Sequential(nn.Conv2d(hidden, out_channels, 1, bias=False), _norm(out_channels))
        self.use_shortcut = stride == 1 and in_channels == out_channels
        self.depth = StochasticDepth(drop)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        hidden = self.filter(self.expand(maps))
        output: Tensor = self.project(hidden * self.excitation.gate(hidden))
        return maps + self.depth(output) if self.use_shortcut else output


class EfficientNet(Network):
    """EfficientNet; the defaults are B2.

    Stages: `stem` (stride 2) and `stage1` to `stage7`, the rows of the paper's Table 1. The last 1 x 1 convolution is
    part of the pooling. Features: 1280 times the width.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        width: Multiplier of all channels, rounded to multiples of 8 but never down by more than a tenth.
        depth: Multiplier of all repeats, rounded up.
        strides: Stride of the first block of each of the seven stages.
        dropout: Probability before the linear layer.
        drop_path: Probability that the last block is left out in training; it grows linearly from 0.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        width: float = 1.1,
        depth: float = 1.2,
        strides: tuple[int, ...] = STRIDES,
        dropout: float = 0.3,
        drop_path: float = 0.2,
    ) -> None:
        if width <= 0 or depth <= 0:
            raise ValueError(f"width and depth are {width} and {depth}; both must be above 0.")
        if len(strides) != len(ROWS) or not set(strides) <= {1, 2}:
            raise ValueError(f"strides are {list(strides)}; there must be {len(ROWS)}, each 1 or 2.")
        stem, last = (rounded_channels(c * width) for c in (STEM_CHANNELS, LAST_CHANNELS))
        channels = [rounded_channels(row[2] * width) for row in ROWS]
        reach = [2 * product for product in accumulate(strides, lambda a, b: a * b)]
        stages = [Stage(f"stage{i}", c, s) for i, (c, s) in enumerate(zip(channels, reach, strict=True), start=1)]
        super().__init__(
            [Stage("stem", stem, 2), *stages], in_channels=in_channels, num_classes=num_classes, feature_size=last
        )
        self.stem = _norm_silu(nn.Conv2d(in_channels, stem, 3, 2, 1, bias=False))
        repeats = [math.ceil(row[3] * depth) for row in ROWS]
        done, before = 0, stem
        for number, ((expansion, kernel, _, _), step, out, count) in enumerate(
            zip(ROWS, strides, channels, repeats, strict=True), start=1
        ):
            blocks = []
            for i in range(count):
                drop = drop_path * (done + i) / sum(repeats)
                blocks.append(MBConv(before, out, expansion, kernel, step if i == 0 else 1, drop))
                before = out
            self.add_module(f"stage{number}", nn.Sequential(*blocks))
            done += count
        self.head = _norm_silu(nn.Conv2d(before, last, 1, bias=False))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(last, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # as in MobileNetV2: the fan-out of a depthwise convolution is k^2
                fan_out = module.weight.numel() // module.weight.shape[1] // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D): the last convolution's mean over all positions."""
        return super().pool(self.head(maps))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _norm_silu(conv: nn.Conv2d) -> nn.Sequential:
    """Return a convolution followed by batch norm and SiLU."""
    return nn.Sequential(conv, _norm(conv.out_channels), nn.SiLU())


PAPER = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
NETWORKS = (
    NetworkSpec(
        name="efficientnet_b2",
        build=EfficientNet,
        paper=PAPER,
        summary="EfficientNet-B2; width, depth, strides and dropout are options.",
        input=(3, 224, 224),
    ),
)
