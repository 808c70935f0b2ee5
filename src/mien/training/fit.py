"""Carry out a recipe: data in, checkpoints, curves and a run record out."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from mien.core.card import InputSpec
from mien.core.dotted import flatten
from mien.core.errors import DataError, InterruptedTrainingError, MienError
from mien.data.dataset import FaceDataset
from mien.models.complexity import count_macs, count_parameters
from mien.models.network import Network
from mien.models.weights import load_weights
from mien.recipes import Recipe, parse_recipe
from mien.recipes.record import RECORD, RunRecord, current_commit, now
from mien.training.batches import FaceBatches, FaceFiles, Faces, class_counts, make_faces, measure_pixels
from mien.training.checkpoints import MovableCheckpoint
from mien.training.hardware import describe_hardware
from mien.training.precision import precision_here
from mien.training.run import CHECKPOINTS, Run, create_network, load_checkpoint, load_run
from mien.training.task import NOT_A_NUMBER, Task
from mien.training.trainer import check_processes, create_trainer

# Settings that a resumed run may change: how fast it goes, and where its teachers, known by their weights, lie now.
MAY_CHANGE = frozenset({"training.threads", "distillation.teachers"})
# What a disk, a quota and a limit on the size of files say when there is no room.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
LOST_CONNECTION = ("gloo", "nccl", "connection reset", "connection closed", "broken pipe")


def fit(  # noqa: PLR0913 - the recipe, its inputs and how to run it
    recipe: Recipe,
    dataset: FaceDataset,
    folder: Path,
    *,
    weights: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    quiet: bool = False,
) -> Run:
    """Train by a recipe and write checkpoints, TensorBoard curves and `record.json` into `folder`.

    Args:
        recipe: Validated settings.
        dataset: A data set with the recipe's train and validation splits.
        folder: Where everything is written; must be new or empty unless `resume`.
        weights: File whose weights the network starts from; its own random ones without.
        resume: Go on after the last whole epoch that `folder` holds; starts anew if it holds none.
        minutes: Time to train for; the run stops before an epoch that would not fit, and `resume` goes on with it.
            The record's `finished` tells.
        quiet: No progress bar.

    Raises:
        MienError: The folder holds another run, the data lack a split that is learnt from, selected by or scored, the
            weights do not fit, or the loss stopped being a number.
    """
    record_path = folder / RECORD
    check_processes(recipe.training)
    check_folder(folder, resume=resume)
    L.seed_everything(recipe.training.seed, verbose=False)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    dataset.require_split(recipe.data.scored_split)  # not missed only after hours of training
    train = make_faces(dataset.split(recipe.data.train_split), recipe)
    validation = make_faces(dataset.split(recipe.data.validation_split), recipe, use_own_labels=True)
    batches = FaceBatches(train, validation, recipe)
    spec = measure_input(train, recipe)
    network = create_network(recipe, len(dataset.label_set))
    record = _new_record(recipe, dataset, network, spec)
    record.data["targets"] = hashlib.sha256(train.targets.numpy().tobytes()).hexdigest()
    if weights is not None:
        notes = load_weights(network, weights)
        record.weights = {"file": weights.name, "sha256": _sha256(weights), "notes": notes}
    if record_path.exists():
        record = _continue(RunRecord.load(record_path), record, folder)
        if record.finished:
            return load_run(folder)
    wanted, given = recipe.training.precision, precision_here(recipe.training)
    if given != wanted:
        bits = "32 bits" if given == "32-true" else given
        _note(f"this processor does not calculate in {wanted}; training goes on in {bits}")
    with _without_noise():
        task = Task(network, recipe, spec, dataset.label_set.names, class_counts(train, recipe))
        teachers = [teacher.description for teacher in task.distillation.teachers] if task.distillation else []
        if record.curves:
            _check_teachers(record.teachers, teachers, folder)
        record.teachers = teachers
        if recipe.training.use_compile and task.loss.can_compile and has_compiler():
            task.compile_outputs()
        keeper = RecordKeeper(record, record_path, minutes)
        _carry_out(task, batches, keeper, folder, resume=resume, quiet=quiet)
    run = load_run(folder)
    if is_first_process():
        run.record.save(record_path)
    return run


def check_folder(folder: Path, *, resume: bool) -> None:
    """Raise MienError where `fit` would write over a run or cannot write; a command asks before it reads the data."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise MienError(f"{nearest} is a file; name a folder with --out.")
    if (folder / RECORD).exists() and not resume and is_first_process():
        raise MienError(f"{folder} already holds a run; add --resume to go on with it or name another --out.")


def _carry_out(  # noqa: PLR0913 - what `fit` has prepared
    task: Task, batches: FaceBatches, keeper: RecordKeeper, folder: Path, *, resume: bool, quiet: bool
) -> None:
    """Train to the end; every way in which that can fail becomes one line."""
    trainer = _trainer(task.recipe, folder, keeper, quiet=quiet)
    folder.mkdir(parents=True, exist_ok=True)
    keeper.save()
    last = folder / CHECKPOINTS / "last.ckpt"
    checkpoint = last if resume and last.exists() else None
    go_on = f"Go on with --resume --out {folder}."
    try:
        # weights_only: a checkpoint is data, never code
        trainer.fit(task, datamodule=batches, ckpt_path=checkpoint, weights_only=True)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # a decomposition met infinities before the loss did
        raise MienError(NOT_A_NUMBER.format(epoch=trainer.current_epoch)) from None
    except (RuntimeError, MemoryError) as error:
        if trainer.world_size > 1 and any(words in str(error).lower() for words in LOST_CONNECTION):
            raise MienError(f"Another process of this run has ended. {go_on}") from None
        # torch's own class is for accelerators; on the CPU its allocator says so in words
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        raise MienError(
            f"The device ran out of memory in epoch {trainer.current_epoch}; the checkpoints before it are intact. "
            "Lower training.batch_size or network.input_size."
        ) from None
    except DataError as error:
        # torch puts a worker process's traceback before the line that says what happened
        line = str(error).strip().splitlines()[-1]
        raise DataError(line.removeprefix(f"{DataError.__module__}.{DataError.__name__}: ")) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise MienError(f"No room for {folder} ({error.strerror}); the last checkpoint is intact. {go_on}") from None
    except SystemExit:  # Lightning's answer to Ctrl-C and SIGTERM
        raise InterruptedTrainingError(f"Training was interrupted. {go_on}") from None
    keeper.finish(trainer)  # after the last checkpoint is on the disk


def is_first_process() -> bool:
    """Return whether this is the one of several processes that writes files and speaks to the user."""
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]
    return rank == 0


def has_compiler() -> bool:
    """Return whether torch.compile finds a C++ compiler; where not, say in one line what that costs."""
    if any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return True
    _note("no C++ compiler found; training goes on without torch.compile, slower")
    return False


def _note(text: str) -> None:
    """Say something on stderr, once for all processes of a run."""
    if is_first_process():
        print(f"note: {text}.", file=sys.stderr)


def measure_input(train: Faces | FaceFiles, recipe: Recipe) -> InputSpec:
    """Return the input specification with the mean and deviation of the training pixels, as shares of 255."""
    counts, has_colour = measure_pixels(train)
    levels = np.arange(256) / 255
    mean = float(counts @ levels / counts.sum())
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
    if std == 0:
        raise DataError("Every training image is one and the same flat colour; there is nothing to learn.")
    size, channels = recipe.network.input_size, recipe.network.channels
    return InputSpec(size, channels, round(mean, 6), round(std, 6), is_grey=channels == 3 and not has_colour)


class RecordKeeper(Callback):
    """Writes the curves into the run record after every epoch, and stops a run whose time is over."""

    def __init__(self, record: RunRecord, path: Path, minutes: float | None) -> None:
        self.record, self.path, self.minutes = record, path, minutes
        self.minutes_before = record.minutes
        self.start = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append one point to the curves."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        spent = (time.monotonic() - self.start) / 60
        last_epoch = self.minutes_before + spent - self.record.minutes
        if self.minutes is not None and trainer.strategy.broadcast(spent + last_epoch > self.minutes):
            trainer.should_stop = True
        self.record.minutes = round(self.minutes_before + spent, 2)
        self.record.curves.append(
            {
                "epoch": trainer.current_epoch,
                "train_loss": round(metrics["train/loss"], 5),
                "validation_accuracy": round(metrics["validation/accuracy"], 5),
                "validation_loss": round(metrics["validation/loss"], 5),
                "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
                "minutes": self.record.minutes,
            }
        )
        self.save()

    def finish(self, trainer: L.Trainer) -> None:
        """Note whether the run is at its end: out of epochs, or out of patience, but not only out of time."""
        patience = trainer.early_stopping_callback
        is_over = patience is not None and patience.wait_count >= patience.patience
        self.record.finished = is_over or self.record.curves[-1]["epoch"] + 1 == trainer.max_epochs
        self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write the record; of several processes the first does."""
        self.record.save(self.path)


def _new_record(recipe: Recipe, dataset: FaceDataset, network: Network, spec: InputSpec) -> RunRecord:
    return RunRecord(
        name=recipe.name,
        recipe=recipe.model_dump(),
        data={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "counts": dataset.counts(),
            **recipe.data.describe(recipe.training.seed),
        },
        labels=list(dataset.label_set.names),
        parameters=count_parameters(network),
        mean=spec.mean,
        std=spec.std,
        macs=_macs(network, spec),
        is_grey=spec.is_grey,
        started=now(),
        commit=current_commit(),
        hardware=describe_hardware("cuda" if torch.cuda.is_available() else "cpu")
        | {"precision": precision_here(recipe.training)},
    )


def _macs(network: Network, spec: InputSpec) -> int:
    try:
        with torch.random.fork_rng(devices=[]):  # what folding draws must not change what training draws
            return count_macs(network.folded(), spec.size, spec.channels)
    except (RuntimeError, TypeError):  # a plug-in's network that needs values where counting has only shapes
        return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _continue(old: RunRecord, new: RunRecord, folder: Path) -> RunRecord:
    last = folder / CHECKPOINTS / "last.ckpt"
    done = int(load_checkpoint(last)["epoch"]) + 1 if last.exists() else 0
    is_begun = done > 0 or old.finished
    if (new.weights or not is_begun) and new.weights.get("sha256") != old.weights.get("sha256"):
        begun, given = (record.weights.get("file", "random weights") for record in (old, new))
        raise MienError(f"{folder} was begun from {begun}, not from {given}; go on with those or name another --out.")
    if not is_begun:  # nothing was learnt that could be lost
        return new
    # settings that did not exist yet when the run began have their defaults
    before = parse_recipe(old.recipe, str(folder / RECORD)).model_dump()
    was, wanted = flatten(before), flatten(new.recipe)
    changed = [key for key in {**was, **wanted} if was.get(key) != wanted.get(key) and key not in MAY_CHANGE]
    if changed:
        differences = ", ".join(f"{key} {was.get(key, 'unset')}, now {wanted.get(key, 'unset')}" for key in changed)
        raise MienError(f"{folder} was run with another recipe ({differences}); name another --out.")
    if any(old.data.get(key, new.data[key]) != new.data[key] for key in ("fingerprint", "targets")):
        raise MienError(f"{folder} was run on other data; name another --out.")
    # an epoch may have been noted whose checkpoint was not written any more
    old.curves = [point for point in old.curves if point["epoch"] < done]
    old.minutes = old.curves[-1]["minutes"] if old.curves else 0.0
    old.recipe = new.recipe
    old.is_grey = new.is_grey  # of the same data; old records do not say it
    return old


def _check_teachers(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], folder: Path) -> None:
    def identities(teachers: Sequence[Mapping[str, Any]]) -> list[str]:
        return sorted(str(teacher.get("sha256")) for teacher in teachers)

    if identities(old) != identities(new):
        names = (", ".join(str(teacher["name"]) for teacher in teachers) or "nobody" for teachers in (old, new))
        raise MienError(
            "{folder} was begun with other teachers ({}, now {}); name another --out.".format(*names, folder=folder)
        )


def _trainer(recipe: Recipe, folder: Path, keeper: RecordKeeper, *, quiet: bool) -> L.Trainer:
    settings = recipe.training
    # Two, because `save_last` of the first would write only when the best changes.
    callbacks: list[Callback] = [
        MovableCheckpoint(
            folder / CHECKPOINTS,
            filename="best",
            monitor="validation/accuracy",
            mode="max",
            enable_version_counter=False,
        ),
        MovableCheckpoint(folder / CHECKPOINTS, filename="last", enable_version_counter=False),
        keeper,
    ]
    if settings.patience:
        callbacks.append(EarlyStopping("validation/accuracy", mode="max", patience=settings.patience))
    if not quiet:
        callbacks.append(RichProgressBar(leave=True))
    return create_trainer(
        settings,
        callbacks,
        max_epochs=recipe.schedule.epochs,
        logger=TensorBoardLogger(folder, name="tensorboard", version=""),
    )


class _without_noise(warnings.catch_warnings):  # noqa: N801 - used as a statement
    """Silence what Lightning says to its developers, and keep what concerns the user."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*use of fork\\(\\) may lead to deadlocks.*")
        warnings.filterwarnings("ignore", message=".*DataLoader will create .* worker processes.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(lightning|torch)\..*")
        warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        return entered
