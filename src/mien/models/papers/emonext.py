"""EmoNeXt: ConvNeXt behind a spatial transformer, with squeeze and excitation and self-attention regularization.

Source: El Boudouri and Bohi, "EmoNeXt: an Adapted ConvNeXt for Facial Emotion Recognition", IEEE MMSP 2023. A
comparator of SPAYOLO's Tables 2 and 3 and of its Fig. 5.

Exact count with 3 input channels and 7 classes: 30,564,331 parameters, the 30.56 M that SPAYOLO prints.

The self-attention is over the images of a batch and only feeds the loss `attention_variance`, in which the paper's
total loss is `total` with `terms = { cross_entropy = { weight = 1.0, label_smoothing = 0.2 }, attention_variance = 1.0
}`. Its values are made and never used, as in the public code; they count, but are not trained.

Deviations: the transformer's maps are resized to 52 x 52 for inputs of another size than 224, and maps of odd size are
padded before they are halved, so that any input works. The scale of the attention's scores is that of the public code,
the fourth root of the features' number instead of the square root.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.observing import observe
from mien.models.layers.stochastic_depth import StochasticDepth
from mien.models.layers.tracing import constant_of, map_size
from mien.models.network import Network, NetworkSpec, Outputs, Stage

LAYER_SCALE = 1e-6


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of each position. Shape: (N, C, H, W), kept."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the normalized map."""
        normalized: Tensor = F.layer_norm(
            maps.permute(0, 2, 3, 1), list(self.normalized_shape), self.weight, self.bias, self.eps
        )
        return normalized.permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    r"""Filter each channel, mix the channels of each position, scale, and add the input (Liu et al. 2022).

    .. math:: y = x + \gamma \odot W_2\, \mathrm{GELU}(W_1\, \mathrm{LN}(k *_{dw} x))

    where k is 7 x 7 and :math:`W_1` has four times the channels. Shape: (N, C, H, W), kept.
    """

    def __init__(self, channels: int, drop: float) -> None:
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.depth = StochasticDepth(drop)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        hidden = self.norm(self.filter(maps).permute(0, 2, 3, 1))
        scaled = self.gamma * self.project(F.gelu(self.expand(hidden)))
        output: Tensor = self.depth(scaled.permute(0, 3, 1, 2))
        return maps + output


class Halving(nn.Module):
    """Layer norm, 2 x 2 convolution of stride 2, squeeze and excitation.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / 2), ceil(W / 2)).
    """

    def __init__(self, in_channels: int, out_channels: int, reduction: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 2, 2)
        self.excitation = Excitation(out_channels, out_channels // reduction)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the halved map."""
        halved: Tensor = self.conv(pad_to_multiple(self.norm(maps), 2))
        return halved * self.excitation.gate(halved)


class SpatialTransformer(nn.Module):
    """Moves, turns and scales each image by an affine map computed from it (Jaderberg et al. 2015).

    It starts as the identity. Shape: (N, C, H, W), kept.
    """

    def __init__(self, in_channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.localization = nn.Sequential(
            nn.Conv2d(in_channels, 8, 7),
            nn.BatchNorm2d(8),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 10, 5),
            nn.BatchNorm2d(10),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.hidden = nn.Linear(10 * size * size, 32)
        self.affine = nn.Linear(32, 6)

    def initialize(self) -> None:
        """Make the affine map the identity."""
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(self.affine.bias.new_tensor([1, 0, 0, 0, 1, 0]))

    def forward(self, images: Tensor) -> Tensor:
        """Return the transformed images."""
        maps = self.localization(images)
        if map_size(maps) != (self.size, self.size):
            maps = F.interpolate(maps, (self.size, self.size), mode="bilinear", align_corners=False)
        theta = self.affine(F.relu(self.hidden(maps.flatten(1)))).reshape(-1, 2, 3)
        height, width = map_size(images)
        places = constant_of(_places, height, width, like=images).to(theta.dtype)
        grid = (theta @ places).transpose(1, 2).reshape(-1, height, width, 2)
        moved = F.grid_sample(images, grid.to(images.dtype), align_corners=True)
        return observe(self, "image", moved)


def _places(height: float, width: float) -> NDArray[np.float64]:
    """Return (3, height x width): x and y of each pixel from -1 to 1, and 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, int(height)), np.linspace(-1, 1, int(width)), indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)])


def pad_to_multiple(maps: Tensor, step: int) -> Tensor:
    """Append zeros to a map (N, C, H, W) on the right and below, to multiples of `step`.

    Not by padding: its exported form slices backwards, which the exporter cannot fold.
    """
    height, width = map_size(maps)
    right, below = -width % step, -height % step
    if right:
        maps = torch.cat([maps, torch.zeros_like(maps[..., :right])], dim=3)
    return torch.cat([maps, torch.zeros_like(maps[:, :, :below])], dim=2) if below else maps


class BatchAttention(nn.Module):
    r"""Attention of each image's features to those of its batch.

    .. math:: A = \mathrm{softmax}\big(W_Q z\, (W_K z)^\top / \sqrt[4]{D}\big), \quad z = \mathrm{LN}(f)

    Shape: (N, D) -> (N, N), rows that sum to 1.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.query = nn.Linear(features, features)
        self.key = nn.Linear(features, features)
        self.value = nn.Linear(features, features).requires_grad_(requires_grad=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return A."""
        normalized = self.norm(features)
        scores = self.query(normalized) @ self.key(normalized).T
        return torch.softmax(scores / features.shape[1] ** 0.25, dim=1)


class EmoNeXt(Network):
    """EmoNeXt; the defaults are the tiny version.

    Stages: `stem`, the spatial transformer and a 4 x 4 convolution of stride 4, then `stage1` to `stage4` at strides 4,
    8, 16 and 32. Features: the last stage's channels, normalized.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        depths: Blocks of each of the four stages.
        channels: Channels of each stage.
        drop_path: Probability that the last block is left out in training; it grows linearly from 0.
        reduction: Channels over middle channels of squeeze and excitation.
        localization_size: Height and width of the spatial transformer's map: 52 at 224 x 224.
        dropout: Probability before the linear layer.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        depths: tuple[int, ...] = (3, 3, 9, 3),
        channels: tuple[int, ...] = (96, 192, 384, 768),
        drop_path: float = 0.1,
        reduction: int = 16,
        localization_size: int = 52,
        dropout: float = 0.0,
    ) -> None:
        if len(depths) != 4 or len(channels) != 4 or min(*depths, localization_size) < 1:
            raise ValueError("depths and channels need four entries each, and these and localization_size at least 1.")
        if not 1 <= reduction <= min(channels):
            raise ValueError(f"reduction is {reduction}; {min(channels)} channels allow 1 to {min(channels)}.")
        strides = (4, 8, 16, 32)
        stages = [Stage(f"stage{i + 1}", c, strides[i], first=strides[i] / 2) for i, c in enumerate(channels)]
        super().__init__(
            [Stage("stem", channels[0], 4, first=2), *stages],
            in_channels=in_channels,
            num_classes=num_classes,
            feature_size=channels[-1],
        )
        self.transformer = SpatialTransformer(in_channels, localization_size)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels[0], 4, 4), ChannelNorm(channels[0]))
        drops = iter(np.linspace(0, drop_path, sum(depths)).tolist())
        for i, (depth, width) in enumerate(zip(depths, channels, strict=True)):
            step = [Halving(channels[i - 1], width, reduction)] if i else []
            self.add_module(
                f"stage{i + 1}", nn.Sequential(*step, *(ConvNeXtBlock(width, next(drops)) for _ in range(depth)))
            )
        self.norm = nn.LayerNorm(channels[-1], eps=1e-6)
        self.attention = BatchAttention(channels[-1])
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels[-1], num_classes)
        self._initialize()

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output."""
        if name == "stem":
            maps = pad_to_multiple(self.transformer(maps), 4)
        return super().run_stage(name, maps)

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D): the normalized mean over all positions."""
        features: Tensor = self.norm(super().pool(maps))
        return features

    def outputs(self, images: Tensor) -> Outputs:
        """Return logits, features and the attention of each image to its batch, (N, 1, 1, N)."""
        features = self.features(images)
        attention: Tensor = self.attention(features)
        return Outputs(self.classify(features), features, attention[:, None, None])

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.transformer.initialize()


NETWORKS = (
    NetworkSpec(
        name="emonext_tiny",
        build=EmoNeXt,
        paper="El Boudouri and Bohi 2023, EmoNeXt: an Adapted ConvNeXt for Facial Emotion Recognition",
        summary="ConvNeXt-Tiny with a spatial transformer, squeeze and excitation, and attention for its loss.",
        input=(3, 224, 224),
    ),
)
