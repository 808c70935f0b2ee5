"""One head of MHSCA, multi-head spatial-channel attention (Shao et al. 2025)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.observing import observe


class SpatialChannelHead(nn.Module):
    r"""Weight a map by position, by A_s and by channel, and pool it.

    .. math::
        x_s &= \sigma(W_{1 \times 3} * u + W_{3 \times 3} * u + W_{3 \times 1} * u) \odot x, \quad
            u = W_{1 \times 1} * x && \text{Eq. (9)} \\
        \tilde x_s &= A_s \odot x_s && \text{Eq. (10)} \\
        x_c &= \sigma(L_2\, \mathrm{ReLU}(L_1\, \mathrm{GAP}(\tilde x_s))) \odot \tilde x_s && \text{Eq. (11)} \\
        \tilde x_c &= A_c \odot x_c, \quad A_c = \mathrm{GAP}(A_s) && \text{Eq. (12)}

    The head returns :math:`\mathrm{GAP}(\tilde x_c)`. The weights of Eq. (11) and (12) are the same at every position,
    so they multiply the pooled :math:`\tilde x_s`, which gives the same value without further maps.

    Source: Shao, Li and Wu 2025, section 2.4; full reference in `mien.models.papers.daf_mhsca`.

    Deviations: x is the output of AFC, as in Algorithm 3; Eq. (9) has AFC's input. The sigmoid's argument has one
    channel, so a head has one map: the shape of the attention weights in Eq. (16), (B, H, W, heads). The three
    convolutions read one 1 x 1 convolution with half the channels, as in the heads of DAN (Wen et al. 2023), from which
    these derive; Eq. (9) leaves its channels open. Eq. (10) and (12) have a dot, called a matrix multiplication;
    Algorithm 3 multiplies elements. The paper's Eq. (11) has one "Linear", its text two layers with a reduction in
    between; the ReLU between them is that of DAN's channel attention.

    Args:
        channels: C.
        reduction: C over the middle features of the channel weights, of which there is at least one.
        use_channel_attention: False leaves out Eq. (11) and (12).
    """

    def __init__(self, channels: int, *, reduction: int = 16, use_channel_attention: bool = True) -> None:
        super().__init__()
        middle = max(1, channels // 2)
        self.point = nn.Conv2d(channels, middle, 1)
        self.row_score = nn.Conv2d(middle, 1, (1, 3), padding=(0, 1))
        self.square_score = nn.Conv2d(middle, 1, 3, padding=1)
        self.column_score = nn.Conv2d(middle, 1, (3, 1), padding=(1, 0))
        self.use_channel_attention = use_channel_attention
        if use_channel_attention:
            self.reduce = nn.Linear(channels, max(1, channels // reduction))
            self.recover = nn.Linear(max(1, channels // reduction), channels)

    def spatial_map(self, maps: Tensor) -> Tensor:
        """Return the weight of each position, (N, 1, H, W) in (0, 1), of a map (N, C, H, W)."""
        hidden = self.point(maps)
        scores = self.row_score(hidden) + self.square_score(hidden) + self.column_score(hidden)
        return observe(self, "spatial", torch.sigmoid(scores))

    def forward(self, maps: Tensor, spatial_map: Tensor, attention: Tensor | None) -> Tensor:
        """Return the pooled features (N, C).

        Args:
            maps: x, (N, C, H, W).
            spatial_map: `self.spatial_map(maps)`, (N, 1, H, W).
            attention: A_s, (N, C, H, W); None counts as 1 everywhere.
        """
        spatial = spatial_map * maps
        pooled = (spatial if attention is None else attention * spatial).mean(dim=(2, 3))
        if not self.use_channel_attention:
            return pooled
        features = torch.sigmoid(self.recover(F.relu(self.reduce(pooled)))) * pooled
        return features if attention is None else attention.mean(dim=(2, 3)) * features
