"""Lightning's trainer as a recipe's settings want it: the same for training and for timing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ProgressBar, WeightAveraging
from lightning.pytorch.loggers import Logger
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mien.training.memory import keep_freed_memory
from mien.training.recipe import TrainingSettings


def create_trainer(  # noqa: PLR0913 - the settings, and how the trainer is used
    settings: TrainingSettings,
    callbacks: Sequence[Callback],
    *,
    max_epochs: int = -1,
    max_steps: int = -1,
    logger: Logger | None = None,
    use_validation: bool = True,
) -> L.Trainer:
    """Make a trainer on the accelerator, if there is one; the moving average of the weights joins the callbacks.

    From here on the process keeps the memory that it frees.

    Args:
        settings: Precision, devices, clipping and the rest of a recipe's `training`.
        callbacks: Checkpoints are written, and progress is shown, where one of them does that.
        max_epochs: Epochs to train for; -1: as many as `max_steps` needs.
        max_steps: Optimizer steps to train for; -1: as many as `max_epochs` needs.
        logger: Where the curves go; None: nowhere.
        use_validation: Validate after every epoch.
    """
    keep_freed_memory()
    own: list[Callback] = [moving_average(settings.ema_decay)] if settings.ema_decay else []
    precision: Any = settings.precision
    processes = settings.devices * settings.nodes
    return L.Trainer(
        accelerator="auto",
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy="ddp" if processes > 1 else "auto",
        sync_batchnorm=processes > 1 and settings.use_sync_batch_norm and torch.cuda.is_available(),
        use_distributed_sampler=False,
        max_epochs=max_epochs,
        max_steps=max_steps,
        precision=precision,
        gradient_clip_val=settings.gradient_clip or None,
        deterministic=settings.use_deterministic,
        logger=logger or False,
        callbacks=[*own, *callbacks],
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if use_validation else 0,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        log_every_n_steps=50,
    )


def moving_average(decay: float) -> WeightAveraging:
    """Return the callback that keeps the exponential moving average of weights and buffers, step by step.

    It lies on the device that trains and takes one kernel for all weights. Lightning's `EMAWeightAveraging` is placed
    before the network reaches its device: it would stay in the processor's memory, and every step wait for copies.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return WeightAveraging(device, use_buffers=True, multi_avg_fn=average)
