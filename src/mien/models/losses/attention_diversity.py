"""Attention diversity: heads that attend to different positions (Shao et al. 2025, Eq. 16)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mien.core.errors import ModelError
from mien.models.layers.precision import widened
from mien.models.losses import Loss, Problem
from mien.models.network import Outputs


class AttentionDiversity(Loss):
    r"""Reward variance of the attention between heads and penalize the similarity of any two heads.

    .. math:: L_{mhv} = -\frac{\alpha}{BHW} \sum_{b,h,w} \mathrm{Var}_n(A_{b,n,h,w})
        + \frac{2 \beta}{N (N - 1)} \sum_{i \ne j} \cos(A_i, A_j) \qquad \text{Eq. (16)}

    where A, (B, N, H, W), are the spatial maps of the N heads. With one head both terms are 0.

    Source: Shao, Li and Wu 2025, section 2.5.3; full reference in `mien.models.papers.daf_mhsca`.

    Deviations: the text speaks of the variance *of each head* over positions; the equation, which is followed, has the
    variance over heads at each position. It is the population variance, over N, which is 0 and not undefined for one
    head. The cosine compares two heads' maps of one image, H W values each, and is averaged over the batch; the paper
    does not say whether images are joined. The sum runs over all ordered pairs as printed, so equal heads give 2 beta;
    if the factor 2 was meant for unordered pairs, halve `beta`.

    Args:
        problem: Not used.
        alpha: Weight of the variance, at least 0 (the paper's .7).
        beta: Weight of the similarity, at least 0 (the paper's .3).
    """

    def __init__(self, problem: Problem, *, alpha: float = 0.7, beta: float = 0.3) -> None:
        super().__init__(problem)
        if min(alpha, beta) < 0:
            raise ValueError(f"alpha and beta are {alpha:g} and {beta:g}; both must be at least 0.")
        self.alpha, self.beta = alpha, beta

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar loss of attention maps (B, N, H, W); `targets` are not used.

        Raises:
            ModelError: The network has no attention maps.
        """
        if outputs.attention is None:
            raise ModelError(
                "The loss 'attention_diversity' needs the maps of attention heads, which this network does not have; "
                "the network 'daf_mhsca' has them (with use_mhsca = true)."
            )
        attention = widened(outputs.attention)
        heads = attention.shape[1]
        variance = attention.var(dim=1, correction=0).mean()
        if heads == 1:
            return -self.alpha * variance
        maps = F.normalize(attention.flatten(2), dim=2)  # (B, N, HW), each of length 1
        # The sum over all i and j of the products is the squared length of the sum; i = j gives 1 each.
        products = maps.sum(dim=1).square().sum(dim=1) - maps.square().sum(dim=(1, 2))
        return -self.alpha * variance + 2 * self.beta / (heads * (heads - 1)) * products.mean()
