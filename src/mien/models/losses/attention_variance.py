"""Attention variance: EmoNeXt's self-attention regularization (El Boudouri and Bohi 2023)."""

from __future__ import annotations

from torch import Tensor

from mien.core.errors import ModelError
from mien.models.layers.precision import widened
from mien.models.losses import Loss
from mien.models.network import Outputs


class AttentionVariance(Loss):
    r"""The variance of attention weights, so that no image attends to a few others alone.

    .. math:: L = \frac{1}{n} \sum_i (a_i - \bar a)^2

    over all n weights of the batch. Source and equations of the weights: `mien.models.papers.emonext`.
    """

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar loss of attention weights of any shape; `targets` are not used.

        Raises:
            ModelError: The network has no attention weights.
        """
        if outputs.attention is None:
            raise ModelError(
                "The loss 'attention_variance' needs attention weights, which this network does not have; the network "
                "'emonext_tiny' has them."
            )
        return widened(outputs.attention).var(correction=0)
