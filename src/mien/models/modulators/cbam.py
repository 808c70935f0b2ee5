"""CBAM, the convolutional block attention module (Woo et al. 2018): weights for channels, then for positions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.observing import observe
from mien.models.modulators import Modulator, check_odd
from mien.models.network import Stage


class CBAM(Modulator):
    r"""Weight channels by mean and maximum over positions, then positions by mean and maximum over channels.

    .. math::
        M_c(F) &= \sigma(W_1 W_0\, \mathrm{avg}_{hw} F + W_1 W_0 \max_{hw} F) \in (0, 1)^{C} & \text{Eq. (2)} \\
        M_s(F) &= \sigma(f^{7 \times 7}([\mathrm{avg}_c F; \max_c F])) \in (0, 1)^{H \times W} & \text{Eq. (3)} \\
        F' &= M_c(F) \odot F, \qquad F'' = M_s(F') \odot F' & \text{Eq. (1)}

    where ReLU follows :math:`W_0`, the two layers are shared by both inputs and :math:`W_0` has C / r rows.

    Source: Woo, Park, Lee and Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018.

    Deviations: none in `version` "written". The authors' released code has biases in the linear layers and a batch norm
    after the convolution: `version` "released".

    Args:
        stage: The stage that it follows; C is its channels.
        reduction: r.
        kernel: Kernel of the convolution, odd; the paper compares 3 and 7.
        order: Which weights come first; "parallel": F'' = M_c(F) * M_s(F) * F (the paper's Table 3).
        version: "written" or "released".
    """

    def __init__(
        self,
        stage: Stage,
        *,
        reduction: int = 16,
        kernel: int = 7,
        order: Literal["channel_first", "spatial_first", "parallel"] = "channel_first",
        version: Literal["written", "released"] = "written",
    ) -> None:
        super().__init__(stage)
        check_odd(kernel)
        self.order = order
        use_released = version == "released"
        hidden = self.reduced_channels(reduction)
        self.excitation = Excitation(stage.channels, hidden, use_bias=use_released)
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01) if use_released else nn.Identity()

    def channel_weights(self, maps: Tensor) -> Tensor:
        """Return M_c, (N, C, 1, 1) in (0, 1), of a map (N, C, H, W)."""
        scores: Tensor = self.excitation(maps.mean(dim=(2, 3))) + self.excitation(maps.amax(dim=(2, 3)))
        return torch.sigmoid(scores)[:, :, None, None]

    def spatial_weights(self, maps: Tensor) -> Tensor:
        """Return M_s, (N, 1, H, W) in (0, 1), of a map (N, C, H, W)."""
        pooled = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        return observe(self, "spatial", torch.sigmoid(self.bn(self.conv(pooled))))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted map (N, C, H, W)."""
        if self.order == "parallel":
            return maps * self.channel_weights(maps) * self.spatial_weights(maps)
        if self.order == "spatial_first":
            maps = maps * self.spatial_weights(maps)
            return maps * self.channel_weights(maps)
        maps = maps * self.channel_weights(maps)
        return maps * self.spatial_weights(maps)
