"""Stochastic depth: a block's own contribution is left out for some images (Huang et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    r"""In training, set an image's map to 0 with probability p and divide the others by 1 - p; otherwise the identity.

    Shape: (N, C, H, W), kept.

    Args:
        probability: p, in [0, 1).

    Raises:
        ValueError: `probability` is out of range.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"The probability of stochastic depth is {probability}; it must be in [0, 1).")
        self.probability = probability

    def forward(self, maps: Tensor) -> Tensor:
        """Return the map, or nothing of it."""
        if not self.training or not self.probability:
            return maps
        kept = torch.rand(len(maps), 1, 1, 1, device=maps.device) >= self.probability
        return maps * kept.to(maps.dtype) / (1 - self.probability)
