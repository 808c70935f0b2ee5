"""YOLOv8-cls: the classification network of YOLOv8 (Jocher et al. 2023), rewritten from its published structure.

Exact parameter counts, with 3 input channels: the small size has 5,089,703 with 7 classes. With 1000 classes the three
sizes have 2,719,288, 6,361,736 and 17,053,336: the published 2.7 M, 6.4 M and 17.0 M.

In all three sizes a stage has at most 1024 channels before the width multiple. The detector of the same family limits
its medium size to 768; with that, the classifier would have 13.0 M parameters.

Weights have PyTorch's default initialization.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.network import Network, NetworkSpec, Stage

# The stem's and the four stages' channels and the stages' blocks, before the multiples.
BASE_CHANNELS = (64, 128, 256, 512, 1024)
BASE_BLOCKS = (3, 6, 6, 3)


class ConvNormAct(nn.Module):
    r"""A convolution, batch norm and SiLU.

    .. math:: y = \mathrm{SiLU}(\mathrm{BN}(W * x)), \qquad \mathrm{SiLU}(z) = z\, \sigma(z)

    without a bias; the batch norm has epsilon 1e-3.
    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the layer's output."""
        return F.silu(self.bn(self.conv(maps)))


class Bottleneck(nn.Module):
    r"""Two 3 x 3 layers with a residual connection.

    .. math:: y = x + f_2(f_1(x))

    where :math:`f_i` are `ConvNormAct`. Shape: (N, channels, H, W), kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(channels, channels, 3)
        self.second = ConvNormAct(channels, channels, 3)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        update: Tensor = self.second(self.first(maps))
        return maps + update


class C2f(nn.Module):
    r"""A cross-stage partial block: half of the channels pass through a chain of blocks, all outputs are merged.

    .. math::
        (h_0, h_1) &= \mathrm{split}(f_{\mathrm{in}}(x)), \qquad h_{i+1} = b_i(h_i) \\
        y &= f_{\mathrm{out}}(\mathrm{cat}[h_0, h_1, \dots, h_{n+1}])

    where :math:`f` are 1 x 1 `ConvNormAct`, the :math:`h_i` have half of the channels and :math:`b_1 \dots b_n` are
    `Bottleneck` blocks. Shape: (N, channels, H, W), kept; `channels` is even.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        half = channels // 2
        self.enter = ConvNormAct(channels, channels)
        self.blocks = nn.ModuleList(Bottleneck(half) for _ in range(depth))
        self.leave = ConvNormAct((2 + depth) * half, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        links = list(self.enter(maps).chunk(2, dim=1))
        for block in self.blocks:
            links.append(block(links[-1]))
        merged: Tensor = self.leave(torch.cat(links, dim=1))
        return merged


class YoloV8Cls(Network):
    """A YOLOv8 classifier; the defaults are its small size.

    Stages: `stem` (stride 2) and `stage1` to `stage4` (strides 4 to 32), each a 3 x 3 convolution of stride 2 and a
    `C2f`. A 1 x 1 layer then expands the channels before the mean. Features: `feature_size`.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        width: Multiple of the channels (64, 128, 256, 512, 1024), rounded up to 8.
        depth: Multiple of the stages' blocks (3, 6, 6, 3), rounded, at least 1.
        max_channels: Limit of the channels before the multiple.
        feature_size: Channels of the last convolution.
        dropout: Probability before the linear layer.
        norm_momentum: Weight of the newest batch in the batch norms' running statistics; runs of a few hundred steps
            need more than YOLO's 0.03.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        width: float = 0.5,
        depth: float = 0.33,
        max_channels: int = 1024,
        feature_size: int = 1280,
        dropout: float = 0.0,
        norm_momentum: float = 0.03,
    ) -> None:
        for name, value in {"width": width, "depth": depth}.items():
            if not 0 < value <= 4:
                raise ValueError(f"{name} is {value}; it must be above 0 and at most 4.")
        if min(max_channels, feature_size) < 1:
            raise ValueError(f"max_channels and feature_size are {max_channels} and {feature_size}; at least 1 each.")
        if not 0 < norm_momentum <= 1:
            raise ValueError(f"norm_momentum is {norm_momentum}; it must be above 0 and at most 1.")
        stem, *channels = (8 * math.ceil(min(base, max_channels) * width / 8) for base in BASE_CHANNELS)
        stages = [Stage("stem", stem, 2)]
        stages += [Stage(f"stage{i}", out, 2 ** (i + 1)) for i, out in enumerate(channels, start=1)]
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=feature_size)
        self.stem = ConvNormAct(in_channels, stem, 3, 2)
        before = stem
        for number, (blocks, out) in enumerate(zip(BASE_BLOCKS, channels, strict=True), start=1):
            block = C2f(out, max(round(blocks * depth), 1))
            self.add_module(f"stage{number}", nn.Sequential(ConvNormAct(before, out, 3, 2), block))
            before = out
        self.head = ConvNormAct(before, feature_size)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(feature_size, num_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = norm_momentum

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, feature_size): the expanded map's mean over all positions."""
        return super().pool(self.head(maps))


PAPER = "Jocher et al. 2023, Ultralytics YOLOv8"
NETWORKS = tuple(
    NetworkSpec(
        name=f"yolov8{letter}_cls",
        build=partial(YoloV8Cls, width=width, depth=depth),
        paper=PAPER,
        summary=f"YOLOv8 classifier, {size}; width, depth and dropout are options.",
        input=(3, 224, 224),
    )
    for letter, size, width, depth in (
        ("n", "nano", 0.25, 0.33),
        ("s", "small", 0.5, 0.33),
        ("m", "medium", 0.75, 0.67),
    )
)
