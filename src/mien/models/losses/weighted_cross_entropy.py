"""Cross-entropy in which rare classes weigh more (Shao et al. 2025, Eq. 14)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mien.models.losses import Problem, check_shapes
from mien.models.losses.soft_cross_entropy import SoftCrossEntropy
from mien.models.network import Outputs

EPSILON = 1e-6


def class_weights(counts: Sequence[float]) -> Tensor:
    r"""Return one weight per class, (K,) in float32.

    .. math:: w_c = \sqrt{N_{max} / (N_c + \epsilon)}, \qquad \epsilon = 10^{-6} \qquad \text{Eq. (14)}

    Deviation: a class without training images has weight 0, not :math:`1000 \sqrt{N_{max}}`: it cannot be learned, and
    so large a weight would dominate the loss if a soft target contained the class.

    Args:
        counts: N_c, the training images of each class, fractional for soft targets; at least 0.
    """
    numbers = torch.tensor(tuple(counts), dtype=torch.float64)
    weights = (numbers.max() / (numbers + EPSILON)).sqrt()
    return torch.where(numbers > 0, weights, 0.0).float()


class WeightedCrossEntropy(SoftCrossEntropy):
    r"""Mean cross-entropy, each class weighted by its rarity in the training set.

    .. math:: L_{wce} = -\frac{1}{N} \sum_{i=1}^{N} \sum_{k=1}^{K} w_k\, t_{ik} \log \mathrm{softmax}(z_i)_k, \qquad
        w_k = \sqrt{N_{max} / (N_k + \epsilon)} \qquad \text{Eq. (14)}

    For one-hot targets this is the paper's equation; soft targets weight each class by its share. The mean is over N;
    torch's `weight` divides by the sum of the weights instead.

    Source: Shao, Li and Wu 2025, section 2.5.1; full reference in `mien.models.papers.daf_mhsca`.
    """

    weights: Tensor

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.register_buffer("weights", class_weights(problem.class_counts), persistent=False)

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, K) logits and (N, K) `targets`."""
        check_shapes(outputs.logits, targets)
        return super().forward(outputs, self.weights * targets)
