"""AFC, adaptive feature calibration (Shao et al. 2025): dilated branches, then weights by position and by channel."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.observing import observe
from mien.models.modulators import Modulator
from mien.models.network import Stage

Fusion = Literal["sum", "concat"]


class AFC(Modulator):
    r"""Convolve the map with several dilations, weight the result by position and channel, and add it to the map.

    .. math::
        x_d &= \mathrm{ReLU}(W_d *_d x), \quad d \in \{1, 2, 4\}, \qquad x_{sum} = \textstyle\sum_d x_d
            && \text{Eq. (1)} \\
        x_{int} &= \mathrm{ReLU}(\mathrm{BN}(W_{int} * x_{sum})), \qquad x_S = \sigma(w_S * x) \odot x_{int}
            && \text{Eq. (2)} \\
        x_C &= \sigma(W_{ra} * \mathrm{ReLU}(W_{re} * \mathrm{GAP}(x_S))) \odot x_S, \qquad y = x_C + x
            && \text{Eq. (3)}

    where :math:`*_d` is a 3 x 3 convolution with dilation and padding d, all others are 1 x 1, :math:`\sigma` is the
    sigmoid and GAP the mean over positions.

    Source: Shao, Li and Wu 2025, section 2.2; full reference in `mien.models.papers.daf_mhsca`.

    Deviations: Eq. (1) and Algorithm 1 add the branches; the text below the algorithm concatenates them and halves the
    number of channels. "sum" follows the former. "concat" follows the latter: :math:`W_{int}` reduces 3C channels to
    3C / 2, and a 1 x 1 convolution after the channel weights restores C for the residual, which the paper leaves open.
    The text calls the product with the spatial weights a matrix multiplication; Eq. (2) and Algorithm 1 multiply
    elements. The spatial weights have one channel, one weight per position, as is usual in spatial attention; the paper
    gives neither their number nor the reduction of the channel weights. A convolution has a bias unless a batch norm
    follows.

    Args:
        stage: The stage that it follows; C is its channels.
        fusion: How the branches are merged, "sum" or "concat".
        reduction: C over the middle channels of the channel weights; at least one channel stays.
        dilations: Dilation of each branch.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        fusion: Fusion = "sum",
        reduction: int = 16,
        dilations: tuple[int, ...] = (1, 2, 4),
    ) -> None:
        super().__init__(stage)
        if reduction < 1:
            raise ValueError(f"reduction is {reduction}; it must be at least 1.")
        if not dilations or min(dilations) < 1:
            raise ValueError(f"dilations are {list(dilations)}; one or more are needed, each at least 1.")
        channels = stage.channels
        self.fusion = fusion
        self.branches = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in dilations)
        fused = channels if fusion == "sum" else len(dilations) * channels
        integrated = channels if fusion == "sum" else max(1, fused // 2)
        self.conv = nn.Conv2d(fused, integrated, 1, bias=False)
        self.bn = nn.BatchNorm2d(integrated)
        self.position_score = nn.Conv2d(channels, 1, 1)
        self.reduce = nn.Conv2d(integrated, max(1, channels // reduction), 1)
        self.recover = nn.Conv2d(max(1, channels // reduction), integrated, 1)
        self.restore = nn.Identity() if fusion == "sum" else nn.Conv2d(integrated, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the calibrated map (N, C, H, W)."""
        branches = torch.stack([F.relu(branch(maps)) for branch in self.branches])
        fused = branches.sum(dim=0) if self.fusion == "sum" else torch.cat(branches.unbind(), dim=1)
        integrated = F.relu(self.bn(self.conv(fused)))
        by_position = observe(self, "positions", torch.sigmoid(self.position_score(maps))) * integrated
        pooled = F.adaptive_avg_pool2d(by_position, 1)
        by_channel = torch.sigmoid(self.recover(F.relu(self.reduce(pooled)))) * by_position
        calibrated: Tensor = self.restore(by_channel) + maps
        return calibrated
