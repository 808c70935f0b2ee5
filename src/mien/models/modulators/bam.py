"""BAM, the bottleneck attention module (Park et al. 2018): a channel branch and a dilated spatial branch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mien.models.layers.observing import observe
from mien.models.modulators import Modulator
from mien.models.network import Stage

NormPosition = Literal["output", "hidden"]
Combination = Literal["sum", "product"]


class BAM(Modulator):
    r"""Add to each value its product with a gate, computed from a channel branch and a spatial branch.

    .. math::
        F' &= F + F \odot M(F), \qquad M(F) = \sigma(M_c(F) + M_s(F)) \qquad \text{Eq. (1), (2)} \\
        M_c(F) &= \mathrm{BN}(W_1\, \mathrm{ReLU}(W_0\, \mathrm{GAP}(F) + b_0) + b_1)
            \in \mathbb{R}^{C \times 1 \times 1} \qquad \text{Eq. (3)} \\
        M_s(F) &= \mathrm{BN}(f_3^{1 \times 1}(f_2^{3 \times 3}(f_1^{3 \times 3}(f_0^{1 \times 1}(F)))))
            \in \mathbb{R}^{1 \times H \times W} \qquad \text{Eq. (4)}

    where :math:`W_0, f_0` go from C to C / r channels, the 3 x 3 convolutions are dilated and keep C / r, and a ReLU
    follows each of :math:`f_0, f_1, f_2`.

    Source: Park, Woo, Lee and Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv:1807.06514. The defaults are
    its equations.

    Deviations: the equations do not show the ReLUs; they are those of the authors' released code. It differs from the
    paper in two more points: the batch norms follow the hidden layers (`norm_position = "hidden"`), and the gate is the
    sigmoid of the *product* of the branches (`combination = "product"`). A paper that compares with BAM may use another
    form again, as `mien.models.papers.hfc` does; the one in DeSpaM's public code multiplies the branches and has no
    residual (`combination = "product"`, `use_residual = false`), so :math:`F' = F \odot M(F)`. In training, the channel
    branch's batch norm needs at least two images. Its biases are initialized to zero (ours).

    Args:
        stage: The stage that it follows; C is its channels.
        reduction: r.
        dilation: Dilation of the 3 x 3 convolutions, in positions.
        use_batch_norm: Use batch norms at all.
        norm_position: "output": one after each branch; "hidden": one after each hidden layer.
        use_spatial_bias: Use biases in the convolutions of the spatial branch.
        combination: How the branches are merged before the sigmoid.
        use_residual: Add the map itself to the gated map.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        stage: Stage,
        *,
        reduction: int = 16,
        dilation: int = 4,
        use_batch_norm: bool = True,
        norm_position: NormPosition = "output",
        use_spatial_bias: bool = True,
        combination: Combination = "sum",
        use_residual: bool = True,
    ) -> None:
        super().__init__(stage)
        if dilation < 1:
            raise ValueError(f"dilation is {dilation}; it must be at least 1.")
        channels, middle = stage.channels, self.reduced_channels(reduction)
        use_hidden, use_output = (use_batch_norm and norm_position == position for position in ("hidden", "output"))
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            *_layer(nn.Conv2d(channels, middle, 1), use_norm=use_hidden),
            nn.ReLU(),
            *_layer(nn.Conv2d(middle, channels, 1), use_norm=use_output),
        )
        self.spatial = nn.Sequential(
            *_layer(nn.Conv2d(channels, middle, 1, bias=use_spatial_bias), use_norm=use_hidden),
            nn.ReLU(),
            *_layer(nn.Conv2d(middle, middle, 3, 1, dilation, dilation, bias=use_spatial_bias), use_norm=use_hidden),
            nn.ReLU(),
            *_layer(nn.Conv2d(middle, middle, 3, 1, dilation, dilation, bias=use_spatial_bias), use_norm=use_hidden),
            nn.ReLU(),
            *_layer(nn.Conv2d(middle, 1, 1, bias=use_spatial_bias), use_norm=use_output),
        )
        self.combination, self.use_residual = combination, use_residual
        # 16 channels leave the channel branch one ReLU, which a random bias could switch off.
        for module in self.channel:
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def gate(self, maps: Tensor) -> Tensor:
        """Return M, (N, C, H, W) in (0, 1), of a map (N, C, H, W)."""
        channel, spatial = self.channel(maps), observe(self, "spatial_score", self.spatial(maps))
        return torch.sigmoid(channel + spatial if self.combination == "sum" else channel * spatial)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the modulated map (N, C, H, W)."""
        gated = maps * self.gate(maps)
        return maps + gated if self.use_residual else gated


def _layer(conv: nn.Conv2d, *, use_norm: bool) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(conv.out_channels)] if use_norm else [conv]
