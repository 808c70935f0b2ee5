"""Knowledge distillation: learning from trained networks as well as from labels (Hinton et al. 2015)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.core.errors import MienError
from mien.core.image import normalize
from mien.models.network import Network
from mien.recipes.schema import DistillationSettings
from mien.training.augment import without_colour
from mien.training.run import load_run


class Teacher:
    """A trained network that scores a batch at its own input size and normalization.

    It is never trained and is not saved in the student's checkpoints. Its batch norms are folded into its convolutions
    for speed.

    Args:
        folder: A run folder.
        labels: The student's labels, in order.
        memory_format: Of its weights: the student's.
        mirror: Whether it also scores the mirror images; the logits are averaged.

    Raises:
        MienError: The folder holds no completed epoch, or a network with other labels.
    """

    def __init__(
        self,
        folder: Path,
        labels: Sequence[str],
        memory_format: torch.memory_format = torch.contiguous_format,
        *,
        mirror: bool = False,
    ) -> None:
        run = load_run(folder)
        if run.record.labels != list(labels):
            raise MienError(
                f"Teacher {folder} has the labels {', '.join(run.record.labels)}; the data set has "
                f"{', '.join(labels)}; they must be the same."
            )
        self.spec = run.input
        self.memory_format, self.mirror = memory_format, mirror
        network = run.network.folded().requires_grad_(requires_grad=False)
        self.network = network.to(memory_format=memory_format)  # type: ignore[call-overload]
        self.classes = len(labels)
        self.description = {
            "name": run.record.name,
            "accuracy": run.record.scores.get("accuracy"),
            "sha256": _digest(run.network),
        }

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, labels) float32 of images (N, C, H, W) in [0, 1], on their device."""
        network = self.network.to(images.device)
        size = self.spec.size
        if images.shape[-2:] != (size, size):
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        uses_colour = self.spec.channels == 3 and not self.spec.is_grey
        if images.shape[1] == 3 and not uses_colour:
            images = without_colour(images)[:, :1]
        if images.shape[1] != self.spec.channels:
            images = images.expand(-1, self.spec.channels, -1, -1)
        inputs = normalize(images * 255, self.spec).contiguous(memory_format=self.memory_format)
        logits: Tensor = network(inputs)[:, : self.classes].float()
        if self.mirror:
            logits = (logits + network(inputs.flip(3))[:, : self.classes].float()) / 2
        return logits


def _digest(network: Network) -> str:
    """Return a hash of a network's weights, which identifies it wherever its folder is."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.contiguous().numpy())
    return digest.hexdigest()


class Distillation:
    r"""The loss of a student that learns from teachers as well.

    .. math::
        p_i &= \frac{1}{M} \sum_{m=1}^{M} \mathrm{softmax}(z^{(m)}_i / T) \\
        L &= (1 - w) L_{\text{recipe}} + w\, T^2\, \frac{1}{N} \sum_i \mathrm{KL}(p_i \,\|\, \mathrm{softmax}(z_i / T))

    over the expressions (without the "not a face" output, and without rows that are not faces), with :math:`M`
    teachers' logits :math:`z^{(m)}`, temperature :math:`T` and weight :math:`w`. Teachers see augmented faces,
    not corrupted ones. For stored views, :math:`p_i` is the softmax of the teachers' mean logits.
    """

    def __init__(
        self,
        settings: DistillationSettings,
        labels: Sequence[str],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.settings = settings
        self.teachers = [
            Teacher(Path(path), labels, memory_format, mirror=settings.mirror) for path in settings.teachers
        ]
        self.classes = len(labels)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: a copy of the student (its moving average) learns from the same teachers."""
        return self

    def soften(self, logits: Tensor) -> Tensor:
        """Return the probabilities (N, labels) of logits at the recipe's temperature."""
        return (logits.float() / self.settings.temperature).softmax(1)

    def wanted(self, images: Tensor) -> Tensor:
        """Return the teachers' mean probabilities (N, labels) of augmented images (N, C, H, W) in [0, 1]."""
        return torch.stack([self.soften(teacher.logits(images)) for teacher in self.teachers]).mean(0)

    def mixed(self, loss: Tensor, logits: Tensor, wanted: Tensor, targets: Tensor) -> Tensor:
        """Return the mixed loss.

        Args:
            loss: The recipe's, a scalar.
            logits: The student's, (N, K) with the expressions first.
            wanted: The teachers' softened probabilities, (N, labels).
            targets: (N, K) distributions.
        """
        temperature, weight = self.settings.temperature, self.settings.weight
        log_given = (logits[:, : self.classes].float() / temperature).log_softmax(1)
        divergence = F.kl_div(log_given, wanted, reduction="none").sum(1)
        is_face = targets[:, : self.classes].sum(1)
        return (1 - weight) * loss + weight * temperature**2 * (divergence * is_face).mean()
