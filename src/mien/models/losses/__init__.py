"""Losses: one file a loss; the file name is its name in recipes, and it defines one subclass of `Loss`.

Outsiders add theirs with an entry point of the group `mien.losses` that names such a class.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models.network import Outputs


@dataclass(frozen=True)
class Problem:
    """What a loss is made for.

    Attributes:
        class_counts: For each of the K outputs, how many training images it has; soft targets count in shares.
        feature_size: Number of features D of the network.
    """

    class_counts: tuple[float, ...]
    feature_size: int


class Loss(nn.Module):
    """Base of every loss.

    A subclass takes the `Problem`, then its options as keyword arguments with a default and a simple type. What
    it remembers from batch to batch are buffers, so checkpoints hold it.
    """

    can_compile: bool = True
    """False: the loss follows how the outputs depend on each other, which a compiled network does not show."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            outputs: The network's, any floating type; computed in float32.
            targets: (N, K) distributions over the K classes, each row summing to 1.

        Returns:
            A scalar.

        Raises:
            ModelError: The shapes do not fit together, or the network lacks what the loss works on.
        """
        raise NotImplementedError


def check_shapes(logits: Tensor, targets: Tensor) -> None:
    """Raise `ModelError` unless logits and targets are both (N, K)."""
    if logits.ndim != 2 or logits.shape != targets.shape:
        raise ModelError(
            f"The loss got logits of shape {tuple(logits.shape)} and targets of shape "
            f"{tuple(targets.shape)}; both must be (images, classes)."
        )
