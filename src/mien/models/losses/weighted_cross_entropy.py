"""Cross-entropy in which rare classes weigh more (Shao et al. 2025, Eq. 14)."""

from __future__ import annotations

from torch import Tensor

from mien.models.layers.class_weights import class_weights
from mien.models.losses import Problem, check_shapes
from mien.models.losses.soft_cross_entropy import SoftCrossEntropy
from mien.models.network import Outputs


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
