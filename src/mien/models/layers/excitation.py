"""The excitation of channel attention: a two-layer perceptron that scores each channel."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Excitation(nn.Module):
    r"""Score channels from one number per channel.

    .. math:: e = W_2\, \mathrm{ReLU}(W_1 z + b_1) + b_2

    where :math:`W_1` has `hidden` rows, there are biases only with `use_bias`, and another `activation` can take the
    place of ReLU. The sigmoid is in `gate`: CBAM adds two scores first.

    Shape: (..., C) -> (..., C).
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        *,
        use_bias: bool = False,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.reduce = nn.Linear(channels, hidden, bias=use_bias)
        self.expand = nn.Linear(hidden, channels, bias=use_bias)

    def forward(self, descriptors: Tensor) -> Tensor:
        """Return the scores, any real number each."""
        scores: Tensor = self.expand(self.activation(self.reduce(descriptors)))
        return scores

    def gate(self, maps: Tensor) -> Tensor:
        """Return one value in (0, 1) for each channel, (N, C, 1, 1), from the means of a map (N, C, H, W)."""
        scores: Tensor = self(maps.mean(dim=(2, 3)))
        return torch.sigmoid(scores)[:, :, None, None]
