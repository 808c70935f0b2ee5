"""DeSpaM, the decomposed spatial modulator (Lee et al. 2026): one gate value for each position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.initialization import initialize_by_fan_out
from mien.models.layers.observing import observe
from mien.models.layers.rep_conv import RepConv
from mien.models.modulators import Modulator, check_odd
from mien.models.network import Stage


class DeSpaM(Modulator):
    r"""Weight each position by a gate that two convolutions compute at full resolution, without pooling.

    .. math::
        h &= \mathrm{ReLU}(\mathrm{Rep}_7(x)) \in \mathbb{R}^{C/r \times H \times W} \\
        A &= \sigma(W_3 * \mathrm{drop}(h)) \in (0, 1)^{1 \times H \times W} \\
        y &= \mathrm{drop}(x \odot A)

    where :math:`\mathrm{Rep}_7` is a dense 7 x 7 `RepConv`, :math:`W_3` is 3 x 3 without a bias, :math:`r` is
    `reduction`, drop removes whole channels in training, and there is no residual.

    Source: "Decomposed Spatial Modulator for Efficient Facial-Expression Recognition", IEEE Signal Processing Letters
    33, 2026, doi 10.1109/LSP.2026.3690096; the details are those of its figure and released code.

    Args:
        stage: The stage that it follows; C is its channels.
        reduction: C over the middle channels.
        kernel: Kernel of the first convolution, odd, at least 3.
        gate_kernel: Kernel of the second convolution, odd.
        gate_dropout: Probability of dropping a channel of h.
        dropout: Probability of dropping a channel of the output.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        stage: Stage,
        *,
        reduction: int = 8,
        kernel: int = 7,
        gate_kernel: int = 3,
        gate_dropout: float = 0.2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(stage)
        check_odd(gate_kernel, "gate_kernel")
        middle = self.reduced_channels(reduction)
        self.context = RepConv(stage.channels, middle, kernel)
        self.gate_dropout = nn.Dropout2d(gate_dropout)
        self.score = nn.Conv2d(middle, 1, gate_kernel, padding=gate_kernel // 2, bias=False)
        self.dropout = nn.Dropout2d(dropout)
        initialize_by_fan_out(self)  # as the public code does with all convolutions

    def gate(self, maps: Tensor) -> Tensor:
        """Return A, (N, 1, H, W) in (0, 1), of a map (N, C, H, W)."""
        hidden = self.gate_dropout(F.relu(self.context(maps)))
        return observe(self, "gate", torch.sigmoid(self.score(hidden)))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the gated map (N, C, H, W)."""
        modulated: Tensor = self.dropout(maps * self.gate(maps))
        return modulated
