"""DDAMFN: MobileFaceNet with kernels of mixed sizes and coordinate attention, and heads of dual-direction attention.

Source: Zhang, Zhang, Zhang, Wang and Song, "A Dual-Direction Attention Mixed Feature Network for Facial Expression
Recognition", Electronics 12(17), 3595, 2023. A comparator of DAF-MHSCA's Table 3.

Exact count with 3 input channels and 7 classes: 4,105,999 parameters, the paper's 4.11 M.

Deviations: layers that the public code makes and never uses (a batch norm and a PReLU after each mixed convolution, a 7
x 7 convolution in each head, a batch norm of the logits) are left out; without them the count is the paper's. Kernels
that cover the whole 7 x 7 map are resized linearly for other maps, so that any input works. The paper's attention loss,
the inverse of the distance between the heads, is not here; the heads' maps are in the network's outputs, as the mean
over channels, for `attention_diversity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.directional_attention import GlobalConvolution, resize_weights
from mien.models.layers.observing import observe
from mien.models.layers.tracing import constant_of, map_size
from mien.models.network import Network, NetworkSpec, Stage

# Height and width of the last map at the paper's 112 x 112 input.
MAP_SIZE = 7
# Each stage's channels, and the shares of the kernels 3, 5, 7, 9 in the hidden channels of its first block.
FIRST = ((64, (64, 32, 32)), (128, (128, 64, 64)), (256, (256, 256, 256, 256)))
# The shares of the kernels in its other blocks.
OTHERS = ((96, 32), (192, 64), (172, 170, 170))


class MixedConvolution(nn.Module):
    """Depthwise convolutions of growing kernels 3, 5, 7 ..., each for its share of the channels.

    Shape: (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, shares: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.shares = list(shares)
        self.branches = nn.ModuleList(
            nn.Conv2d(count, count, 3 + 2 * i, stride, 1 + i, groups=count, bias=False)
            for i, count in enumerate(shares)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the filtered map."""
        parts = torch.split(maps, self.shares, dim=1)
        return torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], dim=1)


class CoordinateGate(nn.Module):
    r"""Weights for each row and each column from descriptors of them (Hou et al. 2021, "Coordinate Attention").

    .. math::
        [u_h, u_w] = \mathrm{hswish}(\mathrm{BN}(W [d_h, d_w])), \qquad
        g = \sigma(W_h u_h) \odot \sigma(W_w u_w)

    Shape: (N, C, H, 1) and (N, C, 1, W) -> (N, C, H, W), in (0, 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(8, channels // 32)
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.bn = nn.BatchNorm2d(middle)
        self.rows = nn.Conv2d(middle, channels, 1)
        self.columns = nn.Conv2d(middle, channels, 1)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return g."""
        both = torch.cat([rows, columns.transpose(2, 3)], dim=2)
        hidden = F.hardswish(self.bn(self.reduce(both)))
        height, _ = map_size(rows)
        by_row, by_column = hidden[:, :, :height], hidden[:, :, height:].transpose(2, 3)
        return torch.sigmoid(self.rows(by_row)) * torch.sigmoid(self.columns(by_column))


class MixedBlock(nn.Module):
    """Expand, filter with mixed kernels, weight rows and columns by their means, project; add the input at stride 1.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, shares: tuple[int, ...], stride: int) -> None:
        super().__init__()
        hidden = sum(shares)
        self.expand = _norm_prelu(nn.Conv2d(in_channels, hidden, 1, bias=False))
        self.filter = MixedConvolution(shares, stride)
        self.gate = CoordinateGate(hidden)
        self.project = nn.Sequential(nn.Conv2d(hidden, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.use_shortcut = stride == 1

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        hidden = self.filter(self.expand(maps))
        gate = self.gate(hidden.mean(dim=3, keepdim=True), hidden.mean(dim=2, keepdim=True))
        output: Tensor = self.project(hidden * gate)
        return maps + output if self.use_shortcut else output


class WholeMap(nn.Conv2d):
    """A depthwise convolution whose kernel covers the whole map; resized linearly for another map.

    Shape: (N, C, H, W) -> (N, C, 1, 1).
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, size, groups=channels, bias=False)
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Return one value for each channel."""
        kernel, sides = self.weight, map_size(maps)
        if sides != (self.size, self.size):
            rows, columns = (
                constant_of(resize_weights, self.size, side, 0, like=kernel).to(kernel.dtype) for side in sides
            )
            kernel = rows @ kernel @ columns.T
        return F.conv2d(maps, kernel, self.bias, groups=self.groups)


class DirectionHead(nn.Module):
    """A gate from rows and columns that are each summed up by a learned kernel as long as the map.

    Shape: (N, C, H, W) -> (N, C, H, W), in (0, 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rows = nn.Sequential(GlobalConvolution(channels, MAP_SIZE, "height"), nn.BatchNorm2d(channels))
        self.columns = nn.Sequential(GlobalConvolution(channels, MAP_SIZE, "width"), nn.BatchNorm2d(channels))
        self.gate = CoordinateGate(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the head's gate."""
        gate: Tensor = self.gate(self.rows(maps), self.columns(maps))
        return gate


class DDAMFN(Network):
    r"""DDAMFN.

    .. math:: f = k * (x \odot \max_i a_i(x))

    where x is the last map, 512 x 7 x 7 at 112 x 112, :math:`a_i` are the heads and k covers the whole map.

    Stages: `stem` (64 channels, stride 2) and `stage1` to `stage3` (64, 128, 256 channels at strides 4, 8 and 16). The
    last 1 x 1 convolution, to 512 channels, is part of the pooling. Features: 512.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        heads: Number of heads.
        repeats: Blocks after the first of each stage.
        features: Channels of the last map.
        dropout: Probability before the linear layer.
    """

    added_names = ("heads",)

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        heads: int = 2,
        repeats: tuple[int, ...] = (9, 16, 6),
        features: int = 512,
        dropout: float = 0.0,
    ) -> None:
        if heads < 1 or len(repeats) != len(FIRST) or min(repeats) < 0 or features < 1:
            raise ValueError(f"heads {heads}, repeats {list(repeats)} (three) or features {features} are too few.")
        stages = [Stage(f"stage{i + 1}", row[0], 4 * 2**i) for i, row in enumerate(FIRST)]
        before = FIRST[0][0]
        super().__init__(
            [Stage("stem", before, 2), *stages],
            in_channels=in_channels,
            num_classes=num_classes,
            feature_size=features,
        )
        self.stem = nn.Sequential(
            _norm_prelu(nn.Conv2d(in_channels, before, 3, 2, 1, bias=False)),
            _norm_prelu(nn.Conv2d(before, before, 3, 1, 1, groups=before, bias=False)),
        )
        for stage, (out, first), shares, count in zip(stages, FIRST, OTHERS, repeats, strict=True):
            others = (MixedBlock(out, out, shares, 1) for _ in range(count))
            self.add_module(stage.name, nn.Sequential(MixedBlock(before, out, first, 2), *others))
            before = out
        self.head = _norm_prelu(nn.Conv2d(before, features, 1, bias=False))
        self.heads = nn.ModuleList(DirectionHead(features) for _ in range(heads))
        self.whole = nn.Sequential(WholeMap(features, MAP_SIZE), nn.BatchNorm2d(features))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, num_classes)

    def example_size(self) -> tuple[int, int]:
        """Return the size at which no kernel is resized, so that norms can be folded into them."""
        side = MAP_SIZE * self.smallest_input
        return side, side

    def attend(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, D), and the heads' gates, (N, heads, H, W), each the mean over channels."""
        maps = self.head(maps)
        gates = torch.stack([head(maps) for head in cast(Sequence[nn.Module], self.heads)], dim=1)
        observe(self, "attention", gates.mean(dim=2))
        features: Tensor = self.whole(maps * gates.amax(dim=1)).flatten(1)
        return features, gates.mean(dim=2)


def _norm_prelu(conv: nn.Conv2d) -> nn.Sequential:
    """Return a convolution followed by batch norm and PReLU."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.PReLU(conv.out_channels))


NETWORKS = (
    NetworkSpec(
        name="ddamfn",
        build=DDAMFN,
        paper="Zhang et al. 2023, A Dual-Direction Attention Mixed Feature Network for Facial Expression Recognition",
        summary="MobileFaceNet of mixed kernels with coordinate attention and two heads of direction attention.",
        input=(3, 112, 112),
    ),
)
