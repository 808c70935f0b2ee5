"""Cross-entropy against distributions, such as FER+ votes (Barsoum et al. 2016)."""

from __future__ import annotations

from torch import Tensor

from mien.models.layers.precision import widened
from mien.models.losses import Loss, check_shapes
from mien.models.network import Outputs


class SoftCrossEntropy(Loss):
    r"""Mean cross-entropy between target distributions and the network's softmax.

    .. math:: L = -\frac{1}{N} \sum_{i=1}^{N} \sum_{k=1}^{K} t_{ik} \log \mathrm{softmax}(z_i)_k

    where :math:`t` are the targets and :math:`z` the logits.
    """

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, K) logits and (N, K) `targets`."""
        check_shapes(outputs.logits, targets)
        return -(targets * widened(outputs.logits).log_softmax(dim=1)).sum(dim=1).mean()
