"""The Lightning task that trains a face detector."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.classification import BinaryAveragePrecision

from mien.core.errors import MienError
from mien.models.face_detector import FaceDetector
from mien.models.optimizers.registry import create_optimizer, decay_groups
from mien.recipes.detector_schema import DetectorLossSettings, DetectorRecipe
from mien.training.schedule import lr_share
from mien.training.task import NOT_A_NUMBER

# Errors of a box below this many units count with their square, above linearly.
BETA = 0.1
# Scores are ranked in this many bins: exact ranks would keep half a million numbers.
AP_BINS = 200


class DetectorTask(L.LightningModule):
    """Train a detector on batches of (images (N, 1, H, W) uint8, targets (N, 7, H / 8, W / 8)).

    Logs the mean training loss of an epoch as `train/loss` and, of the validation scenes, the loss as
    `validation/loss` and the average precision of the cells as `validation/accuracy`.

    Args:
        network: Trained in place.
        recipe: Validated settings.
    """

    def __init__(self, network: FaceDetector, recipe: DetectorRecipe) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self.precision_of_cells = BinaryAveragePrecision(thresholds=AP_BINS, validate_args=False)
        self.epoch_loss = torch.zeros(())

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        if batch_idx == 0:
            self.epoch_loss = torch.zeros((), device=self.device)
        loss = detection_loss(self._maps(batch[0]), batch[1], self.recipe.loss)
        self.epoch_loss += loss.detach()
        return loss

    def on_validation_epoch_start(self) -> None:
        """Stop a run whose loss is not finite; log the mean loss of the epoch."""
        if not torch.isfinite(self.epoch_loss):
            raise MienError(NOT_A_NUMBER.format(epoch=self.current_epoch + 1))
        self.log("train/loss", self.epoch_loss / self.trainer.num_training_batches)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Measure the loss, and rank the cells that count."""
        images, target = batch
        maps = self._maps(images).float()
        counts = target[:, 1] > 0
        self.precision_of_cells(maps[:, 0][counts].sigmoid(), target[:, 0][counts].int())
        loss = detection_loss(maps, target, self.recipe.loss)
        self.log("validation/loss", loss, on_epoch=True, batch_size=len(images))
        self.log("validation/accuracy", self.precision_of_cells, on_epoch=True, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the recipe's optimizer and its schedule by steps."""
        settings, schedule = self.recipe.optimizer, self.recipe.schedule
        optimizer = create_optimizer(
            settings.name,
            decay_groups(self.network),
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            options=settings.options,
        )
        steps_per_epoch = self.trainer.estimated_stepping_batches / schedule.epochs
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_share(step, steps_per_epoch, schedule))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _maps(self, images: Tensor) -> Tensor:
        maps: Any = self.network(images.float().contiguous(memory_format=torch.channels_last))
        return torch.as_tensor(maps)


def detection_loss(maps: Tensor, target: Tensor, settings: DetectorLossSettings) -> Tensor:
    """Return the loss of maps (N, 6, h, w) against targets (N, 7, h, w), see `make_target`.

    The scores' loss is focal (Lin et al., "Focal loss for dense object detection", 2017), without its balance between
    the classes. All three are divided by the number of cells with a face.
    """
    maps = maps.float()
    is_face, weight = target[:, 0], target[:, 1]
    faces = is_face.sum().clamp(min=1)
    of_face = is_face * weight
    entropy = F.binary_cross_entropy_with_logits(maps[:, 0], is_face, reduction="none")
    scores = maps[:, 0].sigmoid()
    wrong = scores + is_face - 2 * scores * is_face
    focal = 2 * (entropy * wrong**settings.focus * weight).sum() / faces
    box = F.smooth_l1_loss(maps[:, 1:4], target[:, 2:5], reduction="none", beta=BETA).sum(1)
    roll = F.smooth_l1_loss(maps[:, 4:6], target[:, 5:7], reduction="none", beta=BETA).sum(1)
    is_known = of_face * (target[:, 5] ** 2 + target[:, 6] ** 2)
    return (
        focal
        + settings.box * (box * of_face).sum() / faces
        + settings.roll * (roll * is_known).sum() / is_known.sum().clamp(min=1)
    )
