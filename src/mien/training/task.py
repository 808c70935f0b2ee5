"""The Lightning task that trains any network by any recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import LRSchedulerConfigType, OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.classification import MulticlassAccuracy

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.image import normalize
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss
from mien.models.network import Network, Outputs
from mien.models.optimizers.registry import create_optimizer
from mien.recipes import Recipe
from mien.recipes.schema import OptimizerSettings
from mien.training.augment import Augmentation, make_not_faces, mix
from mien.training.backbone import freeze_backbone, keep_statistics, parameter_groups
from mien.training.compilation import choose_memory_format, compile_outputs
from mien.training.corrupt import Corruption, consistency
from mien.training.distillation import Distillation
from mien.training.hardware import has_compiler
from mien.training.schedule import lr_share

NOT_A_NUMBER = (
    "The loss of epoch {epoch} is not a number; the checkpoints before it are intact. "
    "Lower optimizer.lr, or use training.precision=32-true."
)
# In epochs: Lightning must save the plateau schedule's state but never step it (see `on_train_epoch_end`).
NEVER = 10**9
# The optimizers of torch that can update all weights in one kernel.
FUSED_OPTIMIZERS = ("adam", "adamw", "sgd")


class Task(L.LightningModule):
    """Train `network` on batches of (images (N, C, H, W) uint8, targets (N, K) distributions).

    Of stored views, a batch has the teachers' logits (N, labels) as well.

    Logs the mean training loss of an epoch as `train/loss`, and accuracy, accuracy of the five most probable and
    cross-entropy of the expressions as `validation/accuracy`, `validation/top5` and `validation/loss`, which leave out
    a "not a face" output.

    Args:
        network: Trained in place.
        recipe: Validated settings.
        spec: The network's input.
        labels: The expressions, in order.
        class_counts: (K,) training images of each output: the labels, and "not a face" if the network has it.
    """

    def __init__(
        self, network: Network, recipe: Recipe, spec: InputSpec, labels: Sequence[str], class_counts: Tensor
    ) -> None:
        super().__init__()
        freeze_backbone(network, recipe.optimizer)
        self.memory_format = choose_memory_format(network)
        self.network = network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.outputs: Callable[[Tensor], Outputs] = network.outputs
        self.recipe, self.spec, self.classes = recipe, spec, len(labels)
        channels = 1 if spec.is_grey else spec.channels
        self.corrupt = Corruption(recipe.corruption, channels)
        problem = Problem(tuple(class_counts.tolist()), network.feature_size)
        self.loss = create_loss(recipe.loss.name, problem, recipe.loss.options)
        # stored views are augmented already
        self.augment = nn.Identity() if recipe.distillation.reinforced else Augmentation(recipe.augmentation, channels)
        has_teachers = recipe.distillation.teachers or recipe.distillation.reinforced
        self.distillation = Distillation(recipe.distillation, labels, self.memory_format) if has_teachers else None
        # no validate_args: checking the labels would wait for the device at every batch
        self.accuracy = MulticlassAccuracy(self.classes, average="micro", validate_args=False)
        self.top5 = MulticlassAccuracy(self.classes, min(5, self.classes), average="micro", validate_args=False)
        self.epoch_loss = torch.zeros(())
        # validation batches have other shapes and stay uncompiled
        if recipe.training.use_compile and self.loss.can_compile and has_compiler():
            self.outputs = compile_outputs(network)

    def on_train_epoch_start(self) -> None:
        """Keep the statistics of a backbone that is trained slowly; a validation has set the network's mode."""
        keep_statistics(self.network, self.recipe.optimizer)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the mean loss of one augmented batch."""
        if batch_idx == 0:
            # seeded by (seed, epoch), so that a resumed run draws the same numbers as an uninterrupted one; not in a
            # hook, because the data loader draws from the same generator, before or after the hooks
            seed = self.recipe.training.seed * 100_003 + self.current_epoch
            torch.manual_seed(seed + 1_000_003_000 * self.global_rank)
            self.epoch_loss = torch.zeros((), device=self.device)
        images, targets, wanted = self._prepare(*batch)
        seen, weight = self.corrupt(images), self.recipe.corruption.consistency
        if weight:  # clean and corrupted side by side
            seen, targets, wanted = torch.cat([images, seen]), targets.repeat(2, 1), wanted.repeat(2, 1)
        outputs = self.outputs(self._normalized(seen))
        loss: Tensor = self.loss(outputs, targets)
        if self.distillation is not None:
            loss = self.distillation.mixed(loss, outputs.logits, wanted, targets)
        if weight:
            loss = loss + weight * consistency(outputs.logits)
        self.epoch_loss += loss.detach()
        return loss

    def on_validation_epoch_start(self) -> None:
        """Stop a run whose loss is not finite; log the mean loss of the epoch, whose batches all have one size."""
        # reduced, so that all processes stop: one alone would leave the others waiting; reduce changes its argument
        self._check_finite(self.trainer.strategy.reduce(self.epoch_loss.clone(), reduce_op="sum"))
        self.log("train/loss", self.epoch_loss / self.trainer.num_training_batches, sync_dist=True)

    def on_validation_end(self) -> None:
        """Stop a run that diverged in the last step of an epoch, before its weights are saved."""
        self._check_finite(self.trainer.callback_metrics["validation/loss"])

    def _check_finite(self, loss: Any) -> None:
        if not torch.isfinite(loss):
            raise MienError(NOT_A_NUMBER.format(epoch=self.current_epoch + 1))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count correct expressions of one batch, unaugmented, and measure their cross-entropy."""
        images, targets = batch
        logits = self.network(self._normalized(images.float() / 255))[:, : self.classes].float()
        labels = targets[:, : self.classes].argmax(1)
        self.accuracy(logits, labels)
        self.top5(logits, labels)
        loss = F.cross_entropy(logits, labels)
        self.log("validation/loss", loss, on_epoch=True, batch_size=len(images), sync_dist=True)
        self.log("validation/top5", self.top5, on_epoch=True, batch_size=len(images))
        self.log("validation/accuracy", self.accuracy, on_epoch=True, prog_bar=True, batch_size=len(images))

    def on_train_epoch_end(self) -> None:
        """Step the plateau schedule; Lightning would after the checkpoint, so a resumed run would lose the step."""
        plateau, loss = self.lr_schedulers(), self.trainer.callback_metrics.get("validation/loss")
        if isinstance(plateau, torch.optim.lr_scheduler.ReduceLROnPlateau) and loss is not None:
            plateau.step(loss)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the recipe's optimizer and its schedule, by steps or by the validation loss."""
        schedule = self.recipe.schedule
        optimizer = make_optimizer(self.network, self.recipe.optimizer, self._optimizer_options())
        if schedule.name == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=schedule.plateau_factor, patience=schedule.plateau_patience
            )
            config: LRSchedulerConfigType = {"scheduler": plateau, "monitor": "validation/loss", "frequency": NEVER}
            return {"optimizer": optimizer, "lr_scheduler": config}
        steps_per_epoch = self.trainer.estimated_stepping_batches / schedule.epochs
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_share(step, steps_per_epoch, schedule))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _optimizer_options(self) -> dict[str, Any]:
        """Return the recipe's options; on CUDA add `fused` (one kernel per step) unless the recipe chooses."""
        options = self.recipe.optimizer.options
        can_fuse = self.recipe.optimizer.name in FUSED_OPTIMIZERS and not options.keys() & {"fused", "foreach"}
        can_fuse &= not self.recipe.training.gradient_clip  # Lightning refuses both together in mixed precision
        return options | ({"fused": True} if can_fuse and self.trainer.strategy.root_device.type == "cuda" else {})

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step; with `sam_rho`, use the gradient at the worst point near the weights (Foret et al. 2021, Eq. 2-4)."""
        rho = self.recipe.optimizer.sam_rho
        if not rho or optimizer_closure is None:
            return super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        loss_before = self.epoch_loss.clone()
        with torch.random.fork_rng():  # the second pass must see the same augmented batch
            optimizer_closure()
        self.epoch_loss = loss_before  # only the second pass adds to it
        weights = [weight for weight in self.network.parameters() if weight.grad is not None]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        scale = rho / torch.nn.utils.get_total_norm(gradients).clamp_min(1e-12)
        # in 16 bits a gradient may overflow to infinity; do not move the weights then, as the optimizer skips the step
        steps = [(gradient * scale).nan_to_num_(0, 0, 0) for gradient in gradients]
        # running statistics and class centres keep the update of the first pass, made with the unmoved weights
        buffers = [*self.network.buffers(), *self.loss.buffers()]
        kept = [tensor.detach().clone() for tensor in (*weights, *buffers)]

        def gradient_at_worst_point() -> Any:
            with torch.no_grad():
                torch._foreach_add_(weights, steps)
            result = optimizer_closure()
            with torch.no_grad():
                for tensor, value in zip([*weights, *buffers], kept, strict=True):
                    tensor.copy_(value)
            return result

        return super().optimizer_step(epoch, batch_idx, optimizer, gradient_at_worst_point)

    def _prepare(self, images: Tensor, targets: Tensor, stored: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the augmented batch, its targets (N, K), and the probabilities that teachers want, (N, labels or 0).

        `stored`: the teachers' logits of the batch, if they were computed before.
        """
        columns = targets.shape[1]
        if stored is not None and self.distillation is not None:
            targets = torch.cat([targets, self.distillation.soften(stored)], 1)  # both are mixed; non-faces have none
        images = images.float() / 255
        if self.spec.is_grey:
            images = images[:, :1]  # augmentation must not add colour
        if share := self.recipe.data.not_a_face_share:
            # the whole batch gets at least one non-face; this process adds its part of them
            processes, rank = self.recipe.training.processes, self.global_rank
            whole = max(1, round(share * len(images) * processes))
            count = (rank + 1) * whole // processes - rank * whole // processes
            not_a_face = torch.zeros(count, targets.shape[1], device=targets.device)
            not_a_face[:, self.classes] = 1
            images = torch.cat([images, make_not_faces(images, count)])
            targets = torch.cat([targets, not_a_face])
        with torch.autocast(
            images.device.type, enabled=False
        ):  # pixel positions need more than the 8 significant bits of bf16
            images, targets = mix(self.augment(images), targets, self.recipe.augmentation)
        images = images.expand(-1, self.spec.channels, -1, -1)
        targets, wanted = targets.tensor_split([columns], 1)
        if stored is None and self.distillation is not None:
            return images, targets, self.distillation.wanted(images)
        return images, targets, wanted / wanted.sum(1, keepdim=True).clamp_min(1e-6)

    def _normalized(self, images: Tensor) -> Tensor:
        return normalize(images * 255, self.spec).contiguous(memory_format=self.memory_format)


def make_optimizer(network: Network, settings: OptimizerSettings, options: Mapping[str, Any]) -> Optimizer:
    """Make a recipe's optimizer for a network's weights; `options` are passed to the optimizer's constructor."""
    return create_optimizer(
        settings.name,
        parameter_groups(network, settings),
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        options=options,
    )
