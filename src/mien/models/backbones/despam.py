"""The backbone of DeSpaM: a small residual net of 7 x 7 depthwise convolutions and pointwise expansions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.initialization import initialize_by_fan_out
from mien.models.layers.rep_conv import RepConv
from mien.models.network import Network, Stage


class Block(nn.Module):
    r"""Mix positions, then channels, with a residual connection.

    .. math::
        h &= \mathrm{ReLU}(\mathrm{Rep}_{dw}(x)) \\
        y &= x + \mathrm{BN}(W_2 * \mathrm{ReLU}(\mathrm{BN}(W_1 * h)))

    where :math:`\mathrm{Rep}_{dw}` is a depthwise `RepConv`, and the 1 x 1 convolutions :math:`W_1` and :math:`W_2`
    multiply the number of channels by `expansion` and divide it again.

    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, kernel: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.depthwise = RepConv(channels, channels, kernel, groups=channels)
        self.conv1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        hidden = F.relu(self.depthwise(maps))
        hidden = F.relu(self.bn1(self.conv1(hidden)))
        output: Tensor = maps + self.bn2(self.conv2(hidden))
        return output


class DeSpaMBackbone(Network):
    """Stem to stride 2, three stages at strides 2, 4 and 8, then a 1 x 1 convolution to the features.

    Stages (defaults, 112 x 112 image): `stem` 48 x 56 x 56, `stage1` 48 x 56 x 56, `stage2` 96 x 28 x 28, `stage3`
    160 x 14 x 14. The second and third begin with a RepConv 3 x 3 of stride 2. ReLU follows every RepConv. As in the
    public code, all convolutions are drawn from He's normal distribution by their fan-out.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        depths: Blocks of each stage.
        channels: Channels of each stage; the first layer of the stem has half as many as the first stage.
        kernel: Kernel of the depthwise convolutions, odd, at least 3.
        expansion: Factor between a block's channels and its hidden channels.
        features: Number of features D.
        dropout: Probability before the linear layer.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        depths: tuple[int, ...] = (1, 4, 2),
        channels: tuple[int, ...] = (48, 96, 160),
        kernel: int = 7,
        expansion: int = 5,
        features: int = 512,
        dropout: float = 0.2,
    ) -> None:
        if not depths or len(depths) != len(channels):
            raise ValueError(
                f"depths and channels have {len(depths)} and {len(channels)} entries; each needs one per stage."
            )
        if min(*depths, *channels, expansion, features) < 1 or channels[0] < 2:
            raise ValueError(
                f"depths {depths}, channels {channels}, expansion {expansion} and features {features} must be at least "
                "1, and the first stage needs 2 channels."
            )
        stages = [Stage(f"stage{i + 1}", width, 2 ** (i + 1)) for i, width in enumerate(channels)]
        super().__init__(
            [Stage("stem", channels[0], 2), *stages],
            in_channels=in_channels,
            num_classes=num_classes,
            feature_size=features,
        )
        self.stem = nn.Sequential(
            RepConv(in_channels, channels[0] // 2, 3, stride=2),
            nn.ReLU(),
            RepConv(channels[0] // 2, channels[0], 3),
            nn.ReLU(),
        )
        before = channels[0]
        for stage, depth in zip(stages, depths, strict=True):
            step = [] if stage is stages[0] else [RepConv(before, stage.channels, 3, stride=2), nn.ReLU()]
            blocks = [Block(stage.channels, kernel, expansion) for _ in range(depth)]
            self.add_module(stage.name, nn.Sequential(*step, *blocks))
            before = stage.channels
        self.head = nn.Sequential(nn.Conv2d(before, features, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, num_classes)
        initialize_by_fan_out(self)

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D): 1 x 1 convolution, batch norm, ReLU, mean over all positions."""
        return super().pool(self.head(maps))
