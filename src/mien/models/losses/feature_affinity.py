"""Feature affinity: distances from features to their class centres, relative to the spread of the centres (Eq. 15)."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.core.errors import ModelError
from mien.models.layers.class_centres import ClassCentres
from mien.models.layers.precision import widened
from mien.models.losses import Loss, Problem, check_shapes
from mien.models.losses.weighted_cross_entropy import EPSILON, class_weights
from mien.models.network import Outputs


class FeatureAffinity(Loss):
    r"""Mean squared distance of the features from their class centre, divided by the variance of the centres.

    .. math::
        L_{dna} &= \frac{1}{N} \sum_{i=1}^{N} \sum_{k=1}^{K} w_k\, t_{ik}
            \frac{\lVert f_i - m_k \rVert^2}{\sigma_M^2 + \epsilon} && \text{Eq. (15)} \\
        \sigma_M^2 &= \frac{1}{K} \sum_{k=1}^{K} \lVert m_k - \bar m \rVert^2, \qquad
            \bar m = \frac{1}{K} \sum_{k=1}^{K} m_k

    with the class weights w of Eq. (14) and :math:`\epsilon = 10^{-6}`. The variance runs over the classes seen so far.

    Source: Shao, Li and Wu 2025, section 2.5.2; full reference in `mien.models.papers.daf_mhsca`.

    Deviations: the paper does not say how centres are found. Here they are running means of the features, updated in
    training before each batch's loss is computed. Centres and :math:`\sigma_M^2` are constants to the gradient;
    otherwise moving whole classes would lower the loss. The paper does not define "the variance of class centroids"; it
    is taken over classes and summed over features, so scaling all features does not change the loss. Until two classes
    have been seen there is no variance, and the loss is 0. Soft targets weight each class by its share.

    Args:
        problem: Its class counts and number of features are used.
        momentum: Weight of the new batch in a centre, in (0, 1]; ours.
    """

    weights: Tensor

    def __init__(self, problem: Problem, *, momentum: float = 0.1) -> None:
        super().__init__(problem)
        self.register_buffer("weights", class_weights(problem.class_counts), persistent=False)
        self.class_centres = ClassCentres(len(problem.class_counts), problem.feature_size, momentum)

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, D) features and (N, K) `targets`; in training, update the centres first."""
        check_shapes(outputs.logits, targets)
        features = widened(outputs.features)
        if features.shape[1] != self.problem.feature_size:
            raise ModelError(
                f"The loss 'feature_affinity' got {features.shape[1]} features per image; "
                f"it was made for {self.problem.feature_size}."
            )
        if self.training:
            self.class_centres.update(features.detach(), targets)
        seen = self.class_centres.seen
        distances = self.class_centres.squared_distances(features)
        weighted = (seen * self.weights * targets * distances).sum(dim=1).mean()
        return weighted * (seen.sum() > 1) / (self.centre_variance() + EPSILON)

    @torch.no_grad()
    def centre_variance(self) -> Tensor:
        """Return sigma_M^2, a scalar: the mean squared distance of the seen classes' centres from their mean."""
        centres, seen = self.class_centres.centres, self.class_centres.seen[:, None]
        count = seen.sum().clamp_min(1)
        mean = (centres * seen).sum(dim=0) / count
        return ((centres - mean).square() * seen).sum() / count
