"""The excitation of channel attention: a two-layer perceptron that scores every channel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Excitation(nn.Module):
    r"""Score channels from one number a channel.

    .. math:: e = W_2\, \mathrm{ReLU}(W_1 z + b_1) + b_2

    with :math:`W_1` of `hidden` rows; the biases only with `use_bias`. No sigmoid: CBAM adds two scores first.

    Shape: (..., C) -> (..., C).
    """

    def __init__(self, channels: int, hidden: int, *, use_bias: bool = False) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, hidden, bias=use_bias)
        self.expand = nn.Linear(hidden, channels, bias=use_bias)

    def forward(self, descriptors: Tensor) -> Tensor:
        """Return the scores, any real number each."""
        scores: Tensor = self.expand(F.relu(self.reduce(descriptors)))
        return scores


def reduced_channels(channels: int, reduction: int, stage_name: str) -> int:
    """Return channels // reduction, the hidden channels; `ValueError` unless that is at least 1."""
    if not 1 <= reduction <= channels:
        raise ValueError(f"reduction is {reduction}; stage '{stage_name}' allows 1 to {channels}.")
    return channels // reduction
