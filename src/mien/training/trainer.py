"""Lightning's trainer with a recipe's settings: the same for training and for timing it."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import Logger
from torch.optim.swa_utils import AveragedModel

from mien.core.errors import MienError
from mien.recipes.schema import TrainingSettings
from mien.training.checkpoints import WholeFiles
from mien.training.hardware import precision_here
from mien.training.memory import keep_freed_memory

# Lightning's and torch's advice to developers.
ADVICE = (
    ".*does not have many workers.*",
    ".*use of fork\\(\\) may lead to deadlocks.*",
    ".*DataLoader will create .* worker processes.*",
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*number of training batches.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
)


@contextmanager
def without_advice() -> Iterator[None]:
    """Silence what Lightning and torch say to developers, and keep what concerns the user."""
    with warnings.catch_warnings():
        for message in ADVICE:
            warnings.filterwarnings("ignore", message=message)
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(lightning|torch)\..*")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        yield


def create_trainer(
    settings: TrainingSettings,
    callbacks: Sequence[Callback],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    logger: Logger | None = None,
) -> L.Trainer:
    """Make a trainer on the accelerator, if there is one; a moving average of the weights joins the callbacks.

    From here on the process keeps the memory that it frees.

    Args:
        settings: A recipe's `training`.
        callbacks: Checkpoints only if they are among these.
        epochs: Number of epochs to train for, each with a validation.
        steps: Or the number of optimizer steps, without validation.
        logger: Of the curves.

    Raises:
        MienError: The machine has fewer accelerators than `devices`.
    """
    accelerators = torch.cuda.device_count()
    if torch.cuda.is_available() and settings.devices > accelerators:
        raise MienError(f"training.devices is {settings.devices}; this machine has {accelerators} accelerator(s).")
    keep_freed_memory()
    own: list[Callback] = [MovingAverage(settings.ema_decay, settings.ema_ramp_steps)] if settings.ema_decay else []
    precision: Any = precision_here(settings)
    return L.Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy="ddp" if settings.processes > 1 else "auto",
        sync_batchnorm=settings.processes > 1 and torch.cuda.is_available(),
        use_distributed_sampler=False,
        max_epochs=-1 if epochs is None else epochs,
        max_steps=-1 if steps is None else steps,
        precision=precision,
        plugins=[WholeFiles()],
        deterministic=settings.use_deterministic,
        # all batches have one shape, so searching for the fastest kernels pays, though they may round differently
        benchmark=not settings.use_deterministic,
        logger=logger or False,
        callbacks=[*own, *callbacks],
        num_sanity_val_steps=0,
        gradient_clip_val=settings.gradient_clip or None,
        limit_val_batches=1.0 if steps is None else 0,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=50,
    )


class MovingAverage(WeightAveraging):
    """Keeps the exponential moving average of weights and buffers, step by step, on the device that trains.

    Lightning's `EMAWeightAveraging` is placed before the network reaches its device and stays in the processor's
    memory, so every step waits for copies. This one also updates all weights in one kernel without waiting for the
    device, where torch's own update looks up every weight by name.

    Args:
        decay: Share of the average that stays at each step.
        ramp_steps: At step t the decay is multiplied by 1 - exp(-t / ramp_steps); 0: never.
    """

    def __init__(self, decay: float, ramp_steps: int = 0) -> None:
        super().__init__("cuda" if torch.cuda.is_available() else "cpu", use_buffers=True)
        self.decay, self.ramp_steps = decay, ramp_steps

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look up the tensors, which stay the same during an epoch; integers are copied instead of averaged."""
        average = cast(AveragedModel, self._average_model).module
        theirs = chain(average.parameters(), average.buffers())
        ours = chain(pl_module.parameters(), pl_module.buffers())
        pairs = [(mean.detach(), now.detach()) for mean, now in zip(theirs, ours, strict=True)]
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        self.moving = [mean for mean, _ in moving], [now for _, now in moving]
        self.copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average; the first step of a run sets it."""
        if trainer.global_step <= self._latest_update_step:
            return
        decay = self.decay
        if self.ramp_steps:
            decay *= 1 - math.exp(-trainer.global_step / self.ramp_steps)
        with torch.no_grad():
            torch._foreach_lerp_(*self.moving, 1 - decay if self._latest_update_step else 1.0)
            for mean, now in self.copied:
                mean.copy_(now)
            cast(AveragedModel, self._average_model).n_averaged += 1
        self._latest_update_step = trainer.global_step
