"""Losses: one file each; the file name is the loss's name in recipes, and the file defines one subclass of `Loss`.

Other packages add theirs by an entry point of the group `mien.losses`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models.network import Outputs


@dataclass(frozen=True)
class Problem:
    """What a loss must know of the training set and the network.

    Attributes:
        class_counts: Training images of each of the K classes; soft targets count fractionally.
        feature_size: Number of features D of the network.
    """

    class_counts: tuple[float, ...]
    feature_size: int


class Loss(nn.Module):
    """Base of every loss.

    A subclass takes the `Problem`, then its options: keyword arguments with a default and a simple type. State that
    outlives a batch must be buffers, so that checkpoints store it.
    """

    can_compile: bool = True
    """False: the loss needs the autograd graph between the outputs, which a compiled network hides."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            outputs: The network's, of any floating type; the loss is computed in at least float32.
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
