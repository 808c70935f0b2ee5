"""Pooling over the channels: what spatial attention sees of a map."""

from __future__ import annotations

import torch
from torch import Tensor


def pool_channels(maps: Tensor) -> Tensor:
    """Return mean and maximum over the channels of (N, C, H, W), as (N, 2, H, W)."""
    return torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
