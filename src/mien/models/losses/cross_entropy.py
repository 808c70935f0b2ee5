"""Cross-entropy with label smoothing (Szegedy et al. 2016, section 7)."""

from __future__ import annotations

from torch import Tensor

from mien.models.losses import Problem
from mien.models.losses.soft_cross_entropy import SoftCrossEntropy
from mien.models.network import Outputs


class CrossEntropy(SoftCrossEntropy):
    r"""Cross-entropy against smoothed targets.

    .. math:: t'_{ik} = (1 - \epsilon)\, t_{ik} + \epsilon / K

    where :math:`\epsilon` is `label_smoothing`; the loss is then that of `SoftCrossEntropy`.
    """

    def __init__(self, problem: Problem, *, label_smoothing: float = 0.0) -> None:
        super().__init__(problem)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}; it must be at least 0 and below 1.")
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar mean over (N, K) logits and (N, K) `targets`."""
        smoothed = (1 - self.label_smoothing) * targets.float() + self.label_smoothing / targets.shape[-1]
        return super().forward(outputs, smoothed)
