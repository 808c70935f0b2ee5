"""Carry out a recipe: data in, checkpoints, curves and a run record out."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from mien.core.card import InputSpec
from mien.core.errors import DataError, MienError
from mien.data.dataset import FaceDataset
from mien.models.complexity import count_parameters
from mien.models.network import Network
from mien.training.batches import make_faces, training_loader, validation_loader
from mien.training.recipe import Recipe
from mien.training.record import RunRecord, current_commit, describe_hardware, now
from mien.training.run import CHECKPOINTS, RECORD, Run, create_network, load_run
from mien.training.task import Task


def fit(recipe: Recipe, dataset: FaceDataset, folder: Path, *, resume: bool = False, quiet: bool = False) -> Run:
    """Train by a recipe and write checkpoints, TensorBoard curves and `record.json` into `folder`.

    Args:
        recipe: Validated settings.
        dataset: A data set with the recipe's train and validation splits.
        folder: Where everything is written; must be new or empty unless `resume`.
        resume: Go on after the last whole epoch that `folder` holds; starts anew if it holds none.
        quiet: No progress bar.

    Raises:
        MienError: The folder holds another run, the data lack a split, or the loss stopped being a number.
    """
    record_path = folder / RECORD
    if record_path.exists() and not resume:
        raise MienError(f"{folder} already holds a run; add --resume to go on with it or name another --out.")
    L.seed_everything(recipe.training.seed, verbose=False)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    train = make_faces(dataset.split(recipe.data.train_split), recipe)
    validation = make_faces(dataset.split(recipe.data.validation_split), recipe)
    spec = measure_input(train.images, recipe)
    network = create_network(recipe, len(dataset.label_set))
    record = _new_record(recipe, dataset, network, spec)
    if record_path.exists():
        record = _continue(RunRecord.load(record_path), record, folder)
    loader = training_loader(train, recipe)
    task = Task(network, recipe, spec, len(dataset.label_set), recipe.schedule.epochs * len(loader))
    folder.mkdir(parents=True, exist_ok=True)
    record.save(record_path)
    last = folder / CHECKPOINTS / "last.ckpt"
    checkpoint = last if resume and last.exists() else None
    with _without_noise():
        if recipe.training.use_compile and has_compiler():
            network.compile()
        trainer = _trainer(recipe, folder, RecordKeeper(record, record_path), quiet=quiet)
        try:
            # weights_only: a checkpoint is data, never code
            trainer.fit(task, loader, validation_loader(validation), ckpt_path=checkpoint, weights_only=True)
        except SystemExit:  # Lightning's answer to Ctrl-C
            raise MienError(f"Training was interrupted; go on with --resume --out {folder}.") from None
    run = load_run(folder)
    run.record.save(record_path)
    return run


def has_compiler() -> bool:
    """Return whether torch.compile finds a C++ compiler; where not, say in one line what that costs."""
    if any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return True
    print("note: no C++ compiler found; training goes on without torch.compile, slower.", file=sys.stderr)
    return False


def measure_input(images: torch.Tensor, recipe: Recipe) -> InputSpec:
    """Return the input specification with the mean and deviation of the training pixels, as shares of 255."""
    counts = np.bincount(images.numpy().reshape(-1), minlength=256).astype(np.float64)
    levels = np.arange(256) / 255
    mean = float(counts @ levels / counts.sum())
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
    if std == 0:
        raise DataError("Every training image is one and the same flat colour; there is nothing to learn.")
    return InputSpec(recipe.network.input_size, recipe.network.channels, round(mean, 6), round(std, 6))


class RecordKeeper(Callback):
    """Writes the curves into the run record after every epoch."""

    def __init__(self, record: RunRecord, path: Path) -> None:
        self.record, self.path = record, path
        self.minutes_before = record.minutes
        self.start = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append one point to the curves."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.record.minutes = round(self.minutes_before + (time.monotonic() - self.start) / 60, 2)
        self.record.curves.append(
            {
                "epoch": trainer.current_epoch,
                "train_loss": round(metrics["train/loss"], 5),
                "validation_accuracy": round(metrics["validation/accuracy"], 5),
                "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
                "minutes": self.record.minutes,
            }
        )
        self.record.save(self.path)


def _new_record(recipe: Recipe, dataset: FaceDataset, network: Network, spec: InputSpec) -> RunRecord:
    return RunRecord(
        name=recipe.name,
        recipe=recipe.model_dump(),
        data={"name": dataset.name, "fingerprint": dataset.fingerprint, "counts": dataset.counts()},
        labels=list(dataset.label_set.names),
        parameters=count_parameters(network),
        mean=spec.mean,
        std=spec.std,
        started=now(),
        commit=current_commit(),
        hardware=describe_hardware("cuda" if torch.cuda.is_available() else "cpu"),
    )


def _continue(old: RunRecord, new: RunRecord, folder: Path) -> RunRecord:
    if old.recipe != new.recipe:
        changed = [key for key in new.recipe if new.recipe[key] != old.recipe.get(key)]
        raise MienError(f"{folder} was run with another recipe ({', '.join(changed)} differ); name another --out.")
    if old.data["fingerprint"] != new.data["fingerprint"]:
        raise MienError(f"{folder} was run on other data; name another --out.")
    last = folder / CHECKPOINTS / "last.ckpt"
    done = torch.load(last, map_location="cpu", weights_only=True)["epoch"] + 1 if last.exists() else 0
    # an epoch may have been noted whose checkpoint was not written any more
    old.curves = [point for point in old.curves if point["epoch"] < done]
    old.minutes = old.curves[-1]["minutes"] if old.curves else 0.0
    return old


def _trainer(recipe: Recipe, folder: Path, keeper: RecordKeeper, *, quiet: bool) -> L.Trainer:
    settings = recipe.training
    callbacks: list[Callback] = [
        ModelCheckpoint(
            folder / CHECKPOINTS,
            filename="best",
            monitor="validation/accuracy",
            mode="max",
            save_last=True,
            enable_version_counter=False,
        ),
        keeper,
    ]
    if settings.ema_decay:
        callbacks.insert(0, EMAWeightAveraging(decay=settings.ema_decay))
    if not quiet:
        callbacks.append(RichProgressBar(leave=True))
    precision: Any = settings.precision
    return L.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=recipe.schedule.epochs,
        precision=precision,
        gradient_clip_val=settings.gradient_clip or None,
        deterministic=settings.use_deterministic,
        logger=TensorBoardLogger(folder, name="tensorboard", version=""),
        callbacks=callbacks,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=not quiet,
        log_every_n_steps=50,
    )


class _without_noise(warnings.catch_warnings):  # noqa: N801 - used as a statement
    """Silence what Lightning says to its developers, and keep what concerns the user."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(lightning|torch)\..*")
        warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        return entered
