"""MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", Table 2).

Parameters have torchvision's names (`features.0.0`, `features.1.conv.0.0` ... `classifier.1`), so its weights
files fit; the stages are `stem`, `stage1` ... `stage7`. With 3 input channels and 1000 classes it has the published
3,504,872 parameters.
"""

from __future__ import annotations

from typing import ClassVar, cast

from torch import Tensor, nn

from mien.models.layers.depthwise import DepthwiseConv2d
from mien.models.network import Network, NetworkSpec, Stage

STEM_CHANNELS = 32
LAST_CHANNELS = 1280
# Expansion t, channels c, repeats n of each stage: the rows of Table 2.
ROWS = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
STRIDES = (1, 2, 2, 2, 1, 2, 1)


class InvertedResidual(nn.Module):
    r"""Expand the channels, filter each by itself, project without an activation.

    .. math::
        y = \mathrm{BN}(W_n * \mathrm{ReLU6}(\mathrm{BN}(W_d *_{dw} \mathrm{ReLU6}(\mathrm{BN}(W_w * x))))) \; [+\, x]

    where :math:`W_w` is 1 x 1 to t times the channels and omitted for t = 1, :math:`W_d` a depthwise 3 x 3 with the
    stride, :math:`W_n` 1 x 1, and x is added if the shape stays the same (Fig. 3b).

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = [_norm_relu(nn.Conv2d(in_channels, hidden, 1, bias=False))] if expansion != 1 else []
        self.conv = nn.Sequential(
            *layers,
            _norm_relu(DepthwiseConv2d(hidden, 3, stride)),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.use_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        output: Tensor = self.conv(maps)
        return maps + output if self.use_shortcut else output


class MobileNetV2(Network):
    """MobileNetV2.

    Stages: `stem` (32 channels, stride 2) and `stage1` (16) to `stage7` (320, stride 32), the rows of the paper's
    Table 2. The last 1 x 1 convolution, to 1280 channels, is part of the pooling. Features: 1280.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        width: Multiplier of all channels, rounded to multiples of 8 but never down by more than a tenth; the last 1280
            never shrink.
        stem_stride: Stride of the stem, 1 or 2; 1 suits small images.
        strides: Stride of the first block of each of the seven stages.
        dropout: Probability before the linear layer.
        use_zero_gamma: Initialize each block with a shortcut as that shortcut: the last batch norm's scale is 0
            (Goyal et al. 2017). Without it, training 17 blocks from random weights makes hardly any progress in the
            first epoch.
    """

    classifier_name: ClassVar[str] = "classifier.1"

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        width: float = 1.0,
        stem_stride: int = 2,
        strides: tuple[int, ...] = STRIDES,
        dropout: float = 0.2,
        use_zero_gamma: bool = False,
    ) -> None:
        _check(width, stem_stride, strides)
        before, last = rounded_channels(STEM_CHANNELS * width), rounded_channels(LAST_CHANNELS * max(1.0, width))
        stages = [Stage("stem", before, stem_stride)]
        blocks: list[nn.Module] = [_norm_relu(nn.Conv2d(in_channels, before, 3, stem_stride, 1, bias=False))]
        ranges = {"stem": range(1)}
        for number, ((expansion, channels, repeats), step) in enumerate(zip(ROWS, strides, strict=True), start=1):
            out = rounded_channels(channels * width)
            name = f"stage{number}"
            ranges[name] = range(len(blocks), len(blocks) + repeats)
            for i in range(repeats):
                blocks.append(InvertedResidual(before, out, step if i == 0 else 1, expansion))
                before = out
            stages.append(Stage(name, out, stages[-1].stride * step))
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=last)
        self._blocks_of_stage = ranges
        # Torchvision's name of the layers is also a method of Network, so they cannot be an attribute.
        self._modules["features"] = nn.Sequential(*blocks, _norm_relu(nn.Conv2d(before, last, 1, bias=False)))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        self._initialize(use_zero_gamma)

    @property
    def layers(self) -> nn.Sequential:
        """The stem, the 17 blocks and the last convolution: `features` in the state dict."""
        return cast(nn.Sequential, self._modules["features"])

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output."""
        for number in self._blocks_of_stage[name]:
            maps = self.layers[number](maps)
        return maps

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, 1280): the last convolution's mean over all positions."""
        return super().pool(self.layers[-1](maps))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of features (N, D)."""
        logits: Tensor = self.classifier(features)
        return logits

    def _initialize(self, use_zero_gamma: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He's fan-out of a depthwise convolution is k^2; torch's function counts all channels
                fan_out = module.weight.numel() // module.weight.shape[1] // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
            elif isinstance(module, InvertedResidual) and module.use_shortcut and use_zero_gamma:
                nn.init.zeros_(cast(nn.BatchNorm2d, module.conv[-1]).weight)


def rounded_channels(channels: float, divisor: int = 8) -> int:
    """Return the nearest positive multiple of `divisor`; the next one up if that is more than a tenth lower."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def _norm_relu(conv: nn.Conv2d) -> nn.Sequential:
    """Return a convolution followed by batch norm and ReLU6."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU6())


def _check(width: float, stem_stride: int, strides: tuple[int, ...]) -> None:
    if width <= 0:
        raise ValueError(f"width is {width}; it must be above 0.")
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride is {stem_stride}; it must be 1 or 2.")
    if len(strides) != len(ROWS) or not set(strides) <= {1, 2}:
        raise ValueError(f"strides are {list(strides)}; there must be {len(ROWS)}, each 1 or 2.")


NETWORKS = (
    NetworkSpec(
        name="mobilenet_v2",
        build=MobileNetV2,
        paper="Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        summary="MobileNetV2; width, strides and dropout are options.",
        input=(1, 224, 224),
    ),
)
