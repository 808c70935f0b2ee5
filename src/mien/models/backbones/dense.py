"""The light dense net of SLDCNN: four dense blocks in which each layer reads the maps of all layers before it.

Source: Li, Sun, Liu, Wang and Zhou, "Dense-Attention CNN with Spatial-Attention Fusion for Robust Facial Expression
Recognition", Information Technology and Control 54(3), 2025; the construction is that of Huang et al. 2017, "Densely
Connected Convolutional Networks".
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.pre_activation import PreNorm
from mien.models.network import Network, Stage

BLOCKS = 4
Composite = Literal["bottleneck", "plain"]


class BottleneckLayer(nn.Module):
    r"""Compress the channels, convolve the neighbourhood, expand to the growth: "1 x 1 - 3 x 3 - 1 x 1".

    .. math:: y = \mathrm{drop}(W_3 * r(W_2 * r(W_1 * r(x)))), \qquad r(x) = \mathrm{ReLU}(\mathrm{BN}(x))

    Shape: (N, in_channels, H, W) -> (N, growth, H, W).
    """

    def __init__(self, in_channels: int, middle: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm = PreNorm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, growth, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the layer's own maps."""
        hidden = self.conv1(F.relu(self.norm(maps)))
        hidden = self.conv2(F.relu(self.bn1(hidden)))
        output: Tensor = self.dropout(self.conv3(F.relu(self.bn2(hidden))))
        return output


class PlainLayer(nn.Module):
    r"""One 3 x 3 convolution: :math:`y = \mathrm{drop}(W * \mathrm{ReLU}(\mathrm{BN}(x)))`.

    Shape: (N, in_channels, H, W) -> (N, growth, H, W).
    """

    def __init__(self, in_channels: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm = PreNorm(in_channels)
        self.conv = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the layer's own maps."""
        output: Tensor = self.dropout(self.conv(F.relu(self.norm(maps))))
        return output


class DenseBlock(nn.Module):
    r"""Layers that each read the block's input and all layers before them.

    .. math:: H^i = \mathrm{Conv}([H^0, H^1, \dots, H^{i-1}]), \qquad G = [H^0, \dots, H^n] \qquad \text{Eq. (16)}

    Shape: (N, C, H, W) -> (N, C + layers x growth, H, W).
    """

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's input and its layers' maps, concatenated."""
        for layer in self.layers:
            maps = torch.cat([maps, layer(maps)], dim=1)
        return maps


class Transition(nn.Module):
    """Batch norm, ReLU, 1 x 1 convolution to fewer channels, mean of 2 x 2 positions.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / 2), ceil(W / 2)).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = PreNorm(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the compressed map; at an odd edge the mean is over the positions that exist."""
        return F.avg_pool2d(self.conv(F.relu(self.norm(maps))), 2, ceil_mode=True)


class DenseNet(Network):
    r"""Stem to stride 4, then four dense blocks at strides 4, 8, 16 and 32.

    Stages: `stem`, and `stage1` to `stage4`, each a dense block with the transition before it; `Stage.parts` are the
    channels of the block's input and of each layer. `depth` counts the stem, each layer of a block once, and the three
    transitions, so each block has (depth - 4) / 4 layers. Features: the last block's channels.

    Deviations: the paper gives a 224 x 224 input, the depths, the order of a transition, the 1 x 1 - 3 x 3 - 1 x 1
    bottleneck and 1.78 M parameters, but no width. The stem (7 x 7 of stride 2 to 2 x growth channels, max pool),
    compression 0.5, and norm and ReLU before every convolution are those of Huang et al.'s DenseNet-BC. The middle of
    the bottleneck is half the growth, so that it compresses and expands; the growth is the integer for which depth 32
    has 1.78 M parameters with both 1 and 3 input channels (-0.4 %, +0.4 %). With one 3 x 3 convolution per layer
    (`composite` "plain"), `depth` is the number of convolutions; growth 24, compression 0.75 and 32 stem channels then
    give 1,781,579 parameters. Dropout follows each layer, and weights are initialized, as in Huang et al. (He et al.
    2015).

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        depth: 4 more than a multiple of 4, at least 8.
        growth: Maps that each layer adds.
        composite: What a layer is: "bottleneck", or "plain" for one 3 x 3 convolution.
        middle: Channels inside a bottleneck; None: half the growth.
        compression: theta, the share of the channels that a transition keeps, in (0, 1].
        stem_channels: Channels of the stem; None: twice the growth.
        dropout: Probability of dropping a value of a layer's maps.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        depth: int = 32,
        growth: int = 68,
        composite: Composite = "bottleneck",
        middle: int | None = None,
        compression: float = 0.5,
        stem_channels: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        stem = 2 * growth if stem_channels is None else stem_channels
        middle = max(1, growth // 2) if middle is None else middle
        _check(depth, growth, middle, stem, compression)
        parts = _parts(stem, (depth - BLOCKS) // BLOCKS, growth, compression)
        # a transition reads 2 x 2 positions, so each shifts the centre by half of the stride before it
        stages = [
            Stage(f"stage{i + 1}", sum(p), 4 * 2**i, parts=p, first=0.5 + 2 * (2**i - 1)) for i, p in enumerate(parts)
        ]
        features = stages[-1].channels
        super().__init__(
            [Stage("stem", stem, 4), *stages],
            in_channels=in_channels,
            num_classes=num_classes,
            feature_size=features,
        )
        self.conv0 = nn.Conv2d(in_channels, stem, 7, 2, 3, bias=False)
        self.bn0 = nn.BatchNorm2d(stem)
        before = stem
        for number, channels in enumerate(parts, start=1):
            inputs = (sum(channels[:i]) for i in range(1, len(channels)))
            layers: list[nn.Module] = [
                BottleneckLayer(n, middle, growth, dropout)
                if composite == "bottleneck"
                else PlainLayer(n, growth, dropout)
                for n in inputs
            ]
            step = [] if number == 1 else [Transition(before, channels[0])]
            self.add_module(f"stage{number}", nn.Sequential(*step, DenseBlock(layers)))
            before = sum(channels)
        self.norm = PreNorm(features)
        self.dropout = nn.Identity()  # dropout is inside the layers
        self.fc = nn.Linear(features, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output."""
        if name == "stem":
            return F.max_pool2d(F.relu(self.bn0(self.conv0(maps))), 3, 2, 1)
        return super().run_stage(name, maps)

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D): batch norm, ReLU, mean over all positions."""
        return super().pool(F.relu(self.norm(maps)))


def _check(depth: int, growth: int, middle: int, stem: int, compression: float) -> None:
    if depth < 2 * BLOCKS or depth % BLOCKS:
        raise ValueError(f"depth is {depth}; it must be a multiple of {BLOCKS}, at least {2 * BLOCKS}.")
    if min(growth, middle, stem) < 1:
        raise ValueError(f"growth, middle and stem_channels are {growth}, {middle} and {stem}; all must be at least 1.")
    if not 0 < compression <= 1 or int(compression * (stem + growth)) < 1:
        raise ValueError(f"compression is {compression}; it must be above 0, at most 1, and leave a channel.")


def _parts(stem: int, layers: int, growth: int, compression: float) -> list[tuple[int, ...]]:
    """Return for each block the channels of its input and of each of its layers."""
    blocks, channels = [], stem
    for _ in range(BLOCKS):
        blocks.append((channels, *[growth] * layers))
        channels = int(compression * sum(blocks[-1]))
    return blocks
