"""SLDCNN's intra-class distance penalty (Li et al. 2025): pull features far from their class centre towards it."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.models.layers.class_centres import ClassCentres
from mien.models.losses import Loss, Problem, check_shapes
from mien.models.network import Outputs


class IntraClassDistance(Loss):
    r"""The penalty alone; the paper's loss is cross-entropy plus lambda times this.

    .. math::
        PE &= \frac{1}{2N} \sum_{i=1}^{N} \sum_{k=1}^{K}
        t_{ik} \max\{\lVert f_i - z_k \rVert_2^2 - d_k^2,\ 0\} & \text{Eq. (27)} \\
        d_k &= \tfrac{1}{2} \min_{l \ne k} \lVert z_k - z_l \rVert_2 & \text{Eq. (28)}

    where :math:`f` are the features, :math:`t` the targets (one-hot in Eq. 27), and :math:`z` the running means of the
    classes' features. The centres and :math:`d` are constants to the gradient, which for one sample is
    :math:`f_i - z_{c_i}` outside :math:`d_{c_i}` and 0 inside (Eq. 29). Each training batch updates the centres before
    its penalty is computed; in evaluation they are fixed.

    Source: Li, Sun, Liu, Wang and Zhou 2025; full reference in `mien.models.papers.sldcnn`.

    Deviations: the text beside the equations says the reverse, that samples *nearer* than d are pulled in and those
    farther away are not; Eq. (27) and (29) agree with each other and with the aim, so they are followed. The sum over
    the batch is a mean here, as in the cross-entropy (Eq. 25), so the ratio of the two terms is the paper's. Classes
    without a centre are left out; with fewer than two centres the penalty is 0.

    Args:
        problem: Its K and number of features are used.
        momentum: Weight of a new batch in the running means, in (0, 1] (not given in the paper; ours).
    """

    def __init__(self, problem: Problem, *, momentum: float = 0.1) -> None:
        super().__init__(problem)
        self.centres = ClassCentres(len(problem.class_counts), problem.feature_size, momentum)

    def radii(self) -> Tensor:
        """Return d, (K,): half the distance of each centre to the nearest other; infinite where there is none."""
        distances = self.centres.squared_distances(self.centres.centres)
        seen = self.centres.seen
        others = seen[:, None] & seen & ~torch.eye(len(seen), dtype=torch.bool, device=seen.device)
        return distances.masked_fill(~others, torch.inf).amin(dim=1).sqrt() / 2

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean penalty over features (N, D) and `targets` (N, K)."""
        check_shapes(outputs.logits, targets)
        if self.training:
            self.centres.update(outputs.features.detach(), targets)
        excess = (self.centres.squared_distances(outputs.features) - self.radii().square()).clamp_min(0)
        return (targets.to(excess.dtype) * excess).sum(dim=1).mean() / 2
