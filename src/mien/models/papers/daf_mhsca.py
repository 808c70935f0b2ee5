"""DAF-MHSCA: ResNet-18, calibrated features (AFC), directional attention (DAF) and heads of attention (MHSCA).

Source: Shao, Li and Wu, "A Directional Attention Fusion and Multi-Head Spatial-Channel Attention Network for Facial
Expression Recognition", Journal of Machine Learning and Information Security 1(1), 2025.

Ablations (Table 4): "w/o AFC" is `modulators = {stage4 = "none"}`, "w/o DAF", "w/o CA" and "w/o MHSCA" are the options
`use_daf`, `use_channel_attention` and `use_mhsca`; Table 5 is `heads`.

Deviations: the paper has no published code. What it leaves open is decided, and listed under *Deviations*, in
`modulators/afc.py`, `layers/directional_attention.py` and `layers/spatial_channel_head.py`. The paper does not define
what remains of the network without a part of Table 4: see `DAFMHSCA`. "Memory usage of only 16.5 MB" (section 3.8) is
less than the weights of its ResNet-18 alone, 44.7 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mien.models.backbones.resnet import ResNet, Stem
from mien.models.layers.directional_attention import Cross, DirectionalAttention
from mien.models.layers.spatial_channel_head import SpatialChannelHead
from mien.models.network import NetworkSpec


class DAFMHSCA(ResNet):
    r"""A ResNet whose last map x' is weighted by A_s and by N_h heads of attention before it is pooled.

    .. math:: f = \mathrm{GAP}\Big(\sum_{i=1}^{N_h} \tilde x_c^{(i)}\Big), \qquad
        \tilde x_c^{(i)} = \mathrm{head}_i(x', A_s), \qquad A_s = \mathrm{DAF}(x') \qquad \text{Eq. (13)}

    where the heads are `SpatialChannelHead`, DAF is `DirectionalAttention`, and f is the classifier's input.

    Ablations: without DAF, :math:`A_s = A_c = 1`; without channel attention, Eq. (11) and (12) are left out,
    :math:`\tilde x_c = \tilde x_s`; without MHSCA, :math:`f = \mathrm{GAP}(A_s \odot x')`, and there are no attention
    maps for a loss. Without either, f is that of the plain ResNet.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        heads: N_h, the heads of MHSCA.
        use_daf: Use A_s.
        use_channel_attention: Weight the channels in every head.
        use_mhsca: Use the heads.
        cross: Cross-attention of DAF by "equation" (7) or by "algorithm" 2.
        map_size: Height and width of the last map at the intended input: 7 at 224 x 224.
        width: Channels of the stem, as in `ResNet`.
        stem: "imagenet", "small" or "full", as in `ResNet`.
        dropout: Probability before the linear layer.
    """

    added_names = ("directional_attention", "heads")

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        heads: int = 4,
        use_daf: bool = True,
        use_channel_attention: bool = True,
        use_mhsca: bool = True,
        cross: Cross = "equation",
        map_size: int = 7,
        width: int = 64,
        stem: Stem = "imagenet",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels, width=width, stem=stem, dropout=dropout)
        if heads < 1:
            raise ValueError(f"heads is {heads}; it must be at least 1.")
        channels = self.feature_size
        self.directional_attention: nn.Module | None = None
        if use_daf:
            self.directional_attention = DirectionalAttention(channels, map_size=map_size, cross=cross)
        self.heads = nn.ModuleList(
            SpatialChannelHead(channels, use_channel_attention=use_channel_attention)
            for _ in range(heads if use_mhsca else 0)
        )

    def attend(self, maps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features (N, D) of the last map (N, D, H, W), and the heads' spatial maps (N, heads, H, W)."""
        weights = None if self.directional_attention is None else self.directional_attention(maps)
        heads = cast(Sequence[SpatialChannelHead], self.heads)
        if not heads:
            return self.pool(maps if weights is None else weights * maps), None
        # The heads use slices of the tensor that losses get, so that gradients by it can be taken.
        attention = torch.cat([head.spatial_map(maps) for head in heads], dim=1)
        pieces = torch.split(attention, 1, dim=1)
        features = [head(maps, piece, weights) for head, piece in zip(heads, pieces, strict=True)]
        return torch.stack(features).sum(dim=0), attention


NETWORKS = (
    NetworkSpec(
        name="daf_mhsca",
        build=DAFMHSCA,
        paper="Shao et al. 2025, A Directional Attention Fusion and Multi-Head Spatial-Channel Attention Network",
        summary="ResNet-18 with calibrated features, attention along rows and columns, and four attention heads.",
        input=(3, 224, 224),
        modulators={"stage4": "afc"},
    ),
)
