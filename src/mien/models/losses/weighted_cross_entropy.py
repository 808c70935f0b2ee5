"""Cross-entropy in which rare classes count for more (Shao et al. 2025, Eq. 14)."""

from __future__ import annotations

from torch import Tensor

from mien.models.layers.class_weights import class_weights
from mien.models.layers.precision import widened
from mien.models.losses import Loss, Problem, check_shapes
from mien.models.network import Outputs


class WeightedCrossEntropy(Loss):
    r"""Mean cross-entropy, each class weighted by its rarity in the training set.

    .. math:: L_{wce} = -\frac{1}{N} \sum_{i=1}^{N} \sum_{k=1}^{K} w_k\, t_{ik} \log \mathrm{softmax}(z_i)_k, \qquad
        w_k = \sqrt{N_{max} / (N_k + \epsilon)} \qquad \text{Eq. (14)}

    For class numbers written as one-hot rows this is the paper's equation; distributions weigh each class by its
    share. The mean is over N, not over the sum of the weights that torch's `weight` divides by.

    Source: Shao, Li and Wu, "A Directional Attention Fusion and Multi-Head Spatial-Channel Attention Network for
    Facial Expression Recognition", Journal of Machine Learning and Information Security 1(1), 2025, section 2.5.1.
    """

    weights: Tensor

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.register_buffer("weights", class_weights(problem.class_counts), persistent=False)

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, K) logits and (N, K) `targets`."""
        check_shapes(outputs.logits, targets)
        log_probabilities = widened(outputs.logits).log_softmax(dim=1)
        return -(self.weights * targets * log_probabilities).sum(dim=1).mean()
