"""Class weights by rarity (Shao et al. 2025, Eq. 14)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-6


def class_weights(counts: Sequence[float]) -> Tensor:
    r"""Return one weight per class, (K,) in float32.

    .. math:: w_c = \sqrt{N_{max} / (N_c + \epsilon)}, \qquad \epsilon = 10^{-6} \qquad \text{Eq. (14)}

    Deviation: a class without training images has weight 0, not :math:`1000 \sqrt{N_{max}}`: it cannot be learnt, and
    so large a weight would dominate the loss if a soft target contained the class.

    Args:
        counts: N_c, the training images of each class, fractional for soft targets; at least 0.
    """
    numbers = torch.tensor(tuple(counts), dtype=torch.float64)
    weights = (numbers.max() / (numbers + EPSILON)).sqrt()
    return torch.where(numbers > 0, weights, 0.0).float()
