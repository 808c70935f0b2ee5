"""Feature affinity: features near their class's centre, measured by how far the centres lie apart (Eq. 15)."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.core.errors import ModelError
from mien.models.layers.class_centres import ClassCentres
from mien.models.layers.class_weights import EPSILON, class_weights
from mien.models.layers.precision import widened
from mien.models.losses import Loss, Problem, check_shapes
from mien.models.network import Outputs


class FeatureAffinity(Loss):
    r"""Mean squared distance of the features to their class's centre, over the variance of the centres.

    .. math::
        L_{dna} &= \frac{1}{N} \sum_{i=1}^{N} \sum_{k=1}^{K} w_k\, t_{ik}
            \frac{\lVert f_i - m_k \rVert^2}{\sigma_M^2 + \epsilon} && \text{Eq. (15)} \\
        \sigma_M^2 &= \frac{1}{K} \sum_{k=1}^{K} \lVert m_k - \bar m \rVert^2, \qquad
            \bar m = \frac{1}{K} \sum_{k=1}^{K} m_k

    with the class weights w of Eq. (14) and :math:`\epsilon = 10^{-6}`. The sums over k in the variance run over the
    classes that training has shown so far.

    Source: Shao, Li and Wu, "A Directional Attention Fusion and Multi-Head Spatial-Channel Attention Network for
    Facial Expression Recognition", Journal of Machine Learning and Information Security 1(1), 2025, section 2.5.2.

    Deviations: the paper does not say how centres are found. Here they are running means of the features, updated in
    training before each batch is measured, and constants to the gradient, :math:`\sigma_M^2` too: without that, the
    loss would fall by moving whole classes. The paper does not define "the variance of class centroids"; it is taken
    over classes and summed over features, so that the loss does not change when all features are scaled. As long as
    fewer than two classes have been seen there is no variance, and the loss is 0. Distributions count each class by
    its share.

    Args:
        problem: Gives the class counts and the number of features.
        momentum: The share of the new batch in a centre, in (0, 1]; ours.
    """

    weights: Tensor

    def __init__(self, problem: Problem, *, momentum: float = 0.1) -> None:
        super().__init__(problem)
        self.register_buffer("weights", class_weights(problem.class_counts), persistent=False)
        self.class_centres = ClassCentres(len(problem.class_counts), problem.feature_size, momentum)

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, D) features and (N, K) `targets`; in training, the centres move."""
        check_shapes(outputs.logits, targets)
        features = widened(outputs.features)
        if features.shape[1] != self.problem.feature_size:
            raise ModelError(
                f"The loss 'feature_affinity' got {features.shape[1]} features an image; "
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
