"""Cross-entropy for class numbers or distributions, with label smoothing (Szegedy et al. 2016, section 7)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mien.models.losses import check_shapes
from mien.models.losses.soft_cross_entropy import SoftCrossEntropy


class CrossEntropy(SoftCrossEntropy):
    r"""Cross-entropy against smoothed targets.

    .. math:: t'_{ik} = (1 - \epsilon)\, t_{ik} + \epsilon / K

    where :math:`\epsilon` is `label_smoothing`; the loss is then that of `SoftCrossEntropy`.
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}; it must be at least 0 and below 1.")
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, K) `logits`; `targets` are (N,) numbers or (N, K) distributions."""
        if targets.ndim == 1:
            targets = F.one_hot(targets.long(), logits.shape[-1])
        check_shapes(logits, targets)
        smoothed = (1 - self.label_smoothing) * targets.float() + self.label_smoothing / logits.shape[1]
        return super().forward(logits, smoothed)
