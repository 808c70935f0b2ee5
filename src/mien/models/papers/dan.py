"""DAN: ResNet-18 with heads of spatial, then channel attention; the ancestor of DAF-MHSCA's heads.

Source: Wen, Lin, Wang and Xu, "Distract Your Attention: Multi-head Cross Attention Network for Facial Expression
Recognition", Biomimetics 8(2), 2023, arXiv:2109.07270. A comparator of DAF-MHSCA's Table 3.

Exact count with 3 input channels and 7 classes: 19,723,733 parameters, the paper's 19.72 M.

Deviations: the two losses that the paper adds to the cross-entropy (affinity and partition) are not here; DAF-MHSCA's
`feature_affinity` is a successor of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.backbones.resnet import ResNet, Stem
from mien.models.layers.observing import observe
from mien.models.network import NetworkSpec


class CrossAttentionHead(nn.Module):
    r"""One head: a spatial map, then channel weights.

    .. math::
        u &= \mathrm{BN}(W_{1 \times 1} * x), \qquad
        s = \sum_c \mathrm{ReLU}\Big(\sum_k \mathrm{BN}(W_k * u)\Big)_c \\
        g &= \mathrm{GAP}(s \odot x), \qquad a = g \odot \sigma(W_2\, \mathrm{ReLU}(\mathrm{BN}(W_1 g)))

    where :math:`W_k` are 3 x 3, 1 x 3 and 3 x 1. Shape: (N, C, H, W) -> (N, C).
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        middle, hidden = channels // 2, channels // reduction
        self.reduce = nn.Sequential(nn.Conv2d(channels, middle, 1), nn.BatchNorm2d(middle))
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(middle, channels, (high, wide), padding=(high // 2, wide // 2)), nn.BatchNorm2d(channels)
            )
            for high, wide in ((3, 3), (1, 3), (3, 1))
        )
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                nn.init.zeros_(cast(Tensor, module.bias))
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.001)
                nn.init.zeros_(module.bias)

    def spatial_map(self, maps: Tensor) -> Tensor:
        """Return s, (N, 1, H, W), at least 0."""
        reduced = self.reduce(maps)
        summed = torch.stack([branch(reduced) for branch in self.branches]).sum(dim=0)
        return observe(self, "spatial", F.relu(summed).sum(dim=1, keepdim=True))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the head's features."""
        pooled = (maps * self.spatial_map(maps)).mean(dim=(2, 3))
        weighted: Tensor = pooled * self.channel(pooled)
        return weighted


class DAN(ResNet):
    r"""A ResNet whose features are the sum over heads of the logarithm of a softmax over the heads.

    .. math:: f = \sum_{i=1}^{N_h} \log \mathrm{softmax}_i(a_i)

    With one head f is a itself. The logits pass a batch norm.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        heads: N_h.
        reduction: Channels over hidden channels of a head's channel weights.
        width: Channels of the stem, as in `ResNet`.
        stem: "imagenet", "small" or "full", as in `ResNet`.
        dropout: Probability before the linear layer.
    """

    added_names = ("heads", "bn")

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        heads: int = 4,
        reduction: int = 16,
        width: int = 64,
        stem: Stem = "imagenet",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels, width=width, stem=stem, dropout=dropout)
        if heads < 1 or not 1 <= reduction <= self.feature_size:
            raise ValueError(f"heads is {heads} and reduction {reduction}; both must be at least 1.")
        self.heads = nn.ModuleList(CrossAttentionHead(self.feature_size, reduction) for _ in range(heads))
        self.bn = nn.BatchNorm1d(num_classes)

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D) of the last map (N, D, H, W)."""
        found: list[Tensor] = [head(maps) for head in cast(Sequence[nn.Module], self.heads)]
        return F.log_softmax(torch.stack(found), dim=0).sum(dim=0) if len(found) > 1 else found[0]

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of features (N, D)."""
        logits: Tensor = self.bn(super().classify(features))
        return logits


NETWORKS = (
    NetworkSpec(
        name="dan",
        build=DAN,
        paper="Wen et al. 2023, Distract Your Attention: Multi-head Cross Attention Network",
        summary="ResNet-18 with four heads of spatial and channel attention.",
        input=(3, 224, 224),
    ),
)
