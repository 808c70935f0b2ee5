"""ResNet of basic blocks (He et al. 2016, "Deep Residual Learning for Image Recognition", Table 1).

Parameters have torchvision's names (`conv1`, `bn1`, `layer1.0.conv1`, `downsample.0`, `fc`), so its weights files fit;
the stages are `stem`, `stage1` ... as in every backbone.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.rep_conv import RepConv
from mien.models.network import Network, NetworkSpec, Stage

Stem = Literal["imagenet", "small", "full"]
# Kernel, stride, and whether a 3x3 max pool of stride 2 follows.
STEMS: dict[Stem, tuple[int, int, bool]] = {"imagenet": (7, 2, True), "small": (3, 2, False), "full": (3, 1, False)}


class BasicBlock(nn.Module):
    r"""Two 3 x 3 convolutions with a shortcut.

    .. math:: y = \mathrm{ReLU}(\mathrm{BN}(W_2 * \mathrm{ReLU}(\mathrm{BN}(W_1 * x))) + s(x))

    where :math:`s` is the identity, or a 1 x 1 convolution with batch norm if the shape changes. With `use_branches`,
    each 3 x 3 convolution and its norm are a `RepConv`.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, use_branches: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(in_channels, out_channels, stride, use_branches=use_branches)
        self.conv2, self.bn2 = _convolution(out_channels, out_channels, 1, use_branches=use_branches)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        shortcut = maps if self.downsample is None else self.downsample(maps)
        hidden = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(hidden)) + shortcut)


def _convolution(before: int, after: int, stride: int, *, use_branches: bool) -> tuple[nn.Module, nn.Module]:
    """Return a 3 x 3 convolution and its batch norm; the norms are part of a `RepConv`."""
    if use_branches:
        return RepConv(before, after, 3, stride=stride), nn.Identity()
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)


class ResNet(Network):
    """A ResNet of basic blocks; the defaults are ResNet-18.

    Stages: `stem`, and `stage1`, `stage2` ... for the entries of `depths`. Features: the last stage's channels.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        depths: Blocks of each stage.
        width: Channels of the stem and base of the stages' channels.
        multipliers: Channels of each stage as multiples of `width`.
        strides: Stride of the first block of each stage.
        stem: "imagenet": 7x7, stride 2, max pool; "small": 3x3, stride 2; "full": 3x3, stride 1.
        dropout: Probability before the linear layer.
        use_zero_gamma: Initialize each block as its shortcut: the last batch norm's scale is 0 (Goyal et al. 2017).
        use_branches: Train each 3 x 3 convolution of the blocks as parallel branches, which fold into one convolution
            (Ding et al. 2021, RepVGG). Weights files of plain networks then fit only in part.
    """

    block: ClassVar[type[BasicBlock]] = BasicBlock
    """What the stages consist of; networks with another block derive from this class."""

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        width: int = 64,
        multipliers: tuple[float, ...] = (1, 2, 4, 8),
        strides: tuple[int, ...] = (1, 2, 2, 2),
        stem: Stem = "imagenet",
        dropout: float = 0.0,
        use_zero_gamma: bool = False,
        use_branches: bool = False,
    ) -> None:
        if use_zero_gamma and use_branches:
            raise ValueError("use_zero_gamma and use_branches exclude each other; a RepConv has no last norm.")
        channels = _checked_channels(depths, width, multipliers, strides)
        kernel, stride, use_pool = STEMS[stem]
        rows = [*enumerate(zip(depths, strides, channels, strict=True), start=1)]
        stages = [Stage("stem", width, stride * 2 if use_pool else stride)]
        for number, (_, step, out) in rows:
            stages.append(Stage(f"stage{number}", out, stages[-1].stride * step))
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=channels[-1])
        self.conv1 = nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.use_pool = use_pool
        before = width
        for number, (depth, step, out) in rows:
            shapes = [(before if i == 0 else out, out, step if i == 0 else 1) for i in range(depth)]
            blocks = [self.block(*shape, use_branches=use_branches) for shape in shapes]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            before = out
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock) and use_zero_gamma and isinstance(module.bn2, nn.BatchNorm2d):
                nn.init.zeros_(module.bn2.weight)

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output."""
        if name != "stem":
            return super().run_stage(name.replace("stage", "layer"), maps)
        maps = F.relu(self.bn1(self.conv1(maps)))
        return F.max_pool2d(maps, 3, 2, 1) if self.use_pool else maps


def _checked_channels(
    depths: tuple[int, ...], width: int, multipliers: tuple[float, ...], strides: tuple[int, ...]
) -> list[int]:
    """Return the channels of each stage; `ValueError` if the tuples do not fit together."""
    if not depths or not len(depths) == len(multipliers) == len(strides):
        raise ValueError(
            f"depths, multipliers and strides have {len(depths)}, {len(multipliers)} and {len(strides)} "
            "entries; each needs one per stage."
        )
    channels = [round(width * multiplier) for multiplier in multipliers]
    if min(*depths, *strides, width, *channels) < 1:
        raise ValueError("depths, strides, width and width x multipliers must all be at least 1.")
    return channels


PAPER = "He et al. 2016, Deep Residual Learning for Image Recognition"
NETWORKS = (
    NetworkSpec(
        name="resnet18",
        build=ResNet,
        paper=PAPER,
        summary="ResNet-18; depth, width, stem, strides and dropout are options.",
        input=(1, 224, 224),
    ),
    NetworkSpec(
        name="resnet34",
        build=partial(ResNet, depths=(3, 4, 6, 3)),
        paper=PAPER,
        summary="ResNet-34; the same options.",
        input=(1, 224, 224),
    ),
)
