"""Your own modulator: a gate that depends on the position in the face.

Try it, without any data: `mien train examples/own_modulator.toml --plugin examples/own_modulator.py`
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.modulators import Modulator
from mien.models.network import Stage


class CoordinateGate(Modulator):
    r"""Weight each position by its features and its coordinates.

    .. math:: y = x \odot 2\,\sigma(W_2 * \mathrm{ReLU}(W_1 * [x, u, v]))

    where :math:`u, v \in [-1, 1]` are the column and the row of each position, :math:`W_1` and :math:`W_2` are 1 x 1.
    It is the identity at first, since :math:`W_2` is initialized to 0. Shape: (N, C, H, W) -> (N, C, H, W).

    Args:
        stage: The stage that it follows; C is its channels.
        hidden: Channels between the two convolutions.
    """

    def __init__(self, stage: Stage, *, hidden: int = 8) -> None:
        super().__init__(stage)
        if hidden < 1:
            raise ValueError(f"hidden is {hidden}; it must be at least 1.")
        self.mix = nn.Conv2d(stage.channels + 2, hidden, 1)
        self.score = nn.Conv2d(hidden, 1, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the gated map (N, C, H, W)."""
        ones = torch.ones_like(maps[:, :1])
        column = 2 * (ones.cumsum(3) - 0.5) / maps.shape[3] - 1
        row = 2 * (ones.cumsum(2) - 0.5) / maps.shape[2] - 1
        hidden = torch.relu(self.mix(torch.cat([maps, column, row], 1)))
        return maps * (2 * torch.sigmoid(self.score(hidden)))
