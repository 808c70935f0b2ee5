"""Losses: one file a loss; the file name is its name in recipes, and it defines one subclass of `Loss`.

Outsiders add theirs with an entry point of the group `mien.losses` that names such a class.
"""

from __future__ import annotations

from torch import Tensor, nn

from mien.core.errors import ModelError


class Loss(nn.Module):
    """Base of every loss; options are keyword arguments with a default and a simple type."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            logits: (N, K), any floating type; computed in float32.
            targets: (N, K) distributions over the K classes, each row summing to 1.

        Returns:
            A scalar.
        """
        raise NotImplementedError


def check_shapes(logits: Tensor, targets: Tensor) -> None:
    """Raise `ModelError` unless logits and targets are both (N, K)."""
    if logits.ndim != 2 or logits.shape != targets.shape:
        raise ModelError(
            f"The loss got logits of shape {tuple(logits.shape)} and targets of shape "
            f"{tuple(targets.shape)}; both must be (images, classes)."
        )
