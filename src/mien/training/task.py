"""The one Lightning task: it trains any network by any recipe."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.image import normalize
from mien.models.losses.registry import create_loss
from mien.models.network import Network
from mien.models.optimizers import create_optimizer, decay_groups
from mien.training.augment import Augmentation, make_not_faces, mix_up
from mien.training.recipe import Recipe, ScheduleSettings


class Task(L.LightningModule):
    """Train `network` on batches of (images (N, C, H, W) uint8, targets (N, K) distributions).

    Validation accuracy counts the first `classes` columns only: the "not a face" output, where there is one, is no
    expression. It is logged as `validation/accuracy`, the mean training loss of an epoch as `train/loss`.
    """

    def __init__(self, network: Network, recipe: Recipe, spec: InputSpec, classes: int, steps: int) -> None:
        super().__init__()
        # In 16 bits channels-last: oneDNN and cuDNN otherwise reorder every map, many times slower. Not in 32 bits:
        # there oneDNN (torch 2.13, CPU, two threads) writes past its buffers for narrow channels-last convolutions.
        use_16_bits = recipe.training.precision != "32-true"
        self.memory_format = torch.channels_last if use_16_bits else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.recipe, self.spec, self.classes, self.steps = recipe, spec, classes, steps
        self.augment = Augmentation(recipe.augmentation)
        self.loss = create_loss(recipe.loss.name, recipe.loss.options)
        self.accuracy = MulticlassAccuracy(classes, average="micro")
        self.epoch_loss = torch.zeros(())

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the mean loss of one augmented batch."""
        if batch_idx == 0:
            # by (seed, epoch), so that a resumed run draws what an unbroken one would have drawn; here and not in a
            # hook, because the data loader draws from the same generator, before or after the hooks
            torch.manual_seed(self.recipe.training.seed * 100_003 + self.current_epoch)
            self.epoch_loss = torch.zeros((), device=self.device)
        images, targets = self._prepare(*batch)
        loss: Tensor = self.loss(self.network(images).float(), targets)
        self.epoch_loss += loss.detach()
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def on_validation_start(self) -> None:
        """Stop a run whose loss is no number, before its weights replace the last good checkpoint.

        Raises:
            MienError: The loss of a batch of this epoch was infinite or not a number.
        """
        if not torch.isfinite(self.epoch_loss):
            raise MienError(
                f"The loss of epoch {self.current_epoch} is not a number; the checkpoints before it are intact. "
                "Lower optimizer.lr, or use training.precision=32-true."
            )

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count correct expressions of one batch, unaugmented."""
        images, targets = batch
        # forward, not a call: validation batches have other shapes and need not be compiled
        logits = self.network.forward(self._normalized(images.float() / 255))
        self.accuracy(logits[:, : self.classes].float(), targets[:, : self.classes].argmax(1))
        self.log("validation/accuracy", self.accuracy, on_epoch=True, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the recipe's optimizer; the rate follows the schedule step by step."""
        settings = self.recipe.optimizer
        optimizer = create_optimizer(
            settings.name,
            decay_groups(self.network),
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            options=settings.options,
        )
        steps_per_epoch = self.steps / self.recipe.schedule.epochs
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_share(step, steps_per_epoch, self.recipe.schedule)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _prepare(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        images = images.float() / 255
        share = self.recipe.data.not_a_face_share
        if share:
            count = round(share * len(images))
            not_a_face = torch.zeros(count, targets.shape[1], device=targets.device)
            not_a_face[:, self.classes] = 1
            images = torch.cat([images, make_not_faces(images, count)])
            targets = torch.cat([targets, not_a_face])
        images = self.augment(images)
        if self.recipe.augmentation.mixup:
            images, targets = mix_up(images, targets, self.recipe.augmentation.mixup)
        return self._normalized(images), targets

    def _normalized(self, images: Tensor) -> Tensor:
        return normalize(images * 255, self.spec).contiguous(memory_format=self.memory_format)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch without blocking."""
        return tuple(tensor.to(device, non_blocking=True) for tensor in batch)


def lr_share(step: int, steps_per_epoch: float, schedule: ScheduleSettings) -> float:
    """Return the share of the peak learning rate at an optimizer step (SGDR's half cosine after linear warm-up)."""
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.name == "constant":
        return 1.0
    progress = (step - warmup) / max(1.0, schedule.epochs * steps_per_epoch - warmup)
    floor = schedule.final_lr_share
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
