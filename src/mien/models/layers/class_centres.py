"""Running means of each class's features, for losses that measure distances from class centres."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


class ClassCentres(nn.Module):
    r"""Running means of the features of every class, constants to the gradient.

    .. math:: z_k \leftarrow (1 - \mu)\, z_k + \mu \frac{\sum_i t_{ik} f_i}{\sum_i t_{ik}}

    for every class in the batch; the first batch with a class sets its centre. :math:`t` are the targets; if they are
    one-hot, the quotient is the mean over the class's samples.

    Args:
        classes: Number of classes K.
        feature_size: Number of features D.
        momentum: Weight mu of the new batch, in (0, 1]; 1 uses the batch's own means.
    """

    centres: Tensor
    seen: Tensor

    def __init__(self, classes: int, feature_size: int, momentum: float = 0.1) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum is {momentum}; it must be above 0 and at most 1.")
        self.momentum = momentum
        self.register_buffer("centres", torch.zeros(classes, feature_size))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool))

    @torch.no_grad()
    def update(self, features: Tensor, targets: Tensor) -> None:
        """Update the centres with a batch: features (N, D), targets (N, K) with rows that sum to 1."""
        weights = targets.to(self.centres.dtype)
        mass = weights.sum(dim=0)
        with torch.autocast(features.device.type, enabled=False):
            sums = weights.T @ features.to(self.centres.dtype)
        if distributed.is_available() and distributed.is_initialized():  # each process has a part of the batch
            distributed.all_reduce(mass)
            distributed.all_reduce(sums)
        means = sums / mass.clamp_min(1e-12)[:, None]
        here = mass > 0
        step = torch.where(self.seen, self.momentum, 1.0).to(means.dtype) * here
        self.centres.lerp_(means, step[:, None])
        self.seen |= here

    def squared_distances(self, features: Tensor) -> Tensor:
        """Return (N, K): the squared Euclidean distance of each of (N, D) features to each centre."""
        return (features.to(self.centres.dtype)[:, None] - self.centres).square().sum(dim=2)
