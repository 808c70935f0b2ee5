"""Train a network by a recipe, and write checkpoints, curves and a run record."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger

from mien.core.errors import DataError, InterruptedTrainingError, MienError
from mien.data.dataset import FaceDataset
from mien.data.siblings import count_siblings, describe_siblings
from mien.models.network import Network
from mien.models.weights import load_weights
from mien.recipes import DetectorRecipe, Recipe
from mien.recipes.record import CHECKPOINTS, RECORD, START, RunRecord
from mien.recipes.weights import find_weights
from mien.training.batches import FaceBatches
from mien.training.checkpoints import MovableCheckpoint
from mien.training.classifier import fit_classifier, is_start_kept, save_start
from mien.training.faces import Faces, class_counts, make_faces, measure_input
from mien.training.hardware import precision_here
from mien.training.loading import check_images
from mien.training.processes import check_folder, check_processes, is_first_process, note
from mien.training.progress import Progress
from mien.training.recording import RecordKeeper, check_teachers, continue_record, new_record
from mien.training.reinforcement import open_reinforcement
from mien.training.run import Run, create_network, load_run
from mien.training.task import NOT_A_NUMBER, Task
from mien.training.trainer import create_trainer, without_advice

# Errors of a full disk, an exceeded quota and a limit on the size of files.
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# By which measure a better epoch is recognized, for each rule of selection.
ACCURACY, LOSS = ("validation/accuracy", "max"), ("validation/loss", "min")
MONITORED = {"best": ACCURACY, "lowest-loss": LOSS, "last": ACCURACY}
LOST_CONNECTION = ("gloo", "nccl", "connection reset", "connection closed", "broken pipe")


def fit(  # noqa: PLR0913 - the recipe, its inputs and how to run it
    recipe: Recipe,
    dataset: FaceDataset,
    folder: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    quiet: bool = False,
) -> Run:
    """Train by a recipe and write checkpoints, TensorBoard curves and `record.json` into `folder`.

    Args:
        recipe: Validated settings.
        dataset: A data set with the recipe's splits.
        folder: Where everything is written; must not hold a run unless `resume`.
        resume: Continue after the last completed epoch in `folder`; start over if there is none.
        minutes: Time limit: the run stops before an epoch that would exceed it, and `resume` continues it. The
            record's `finished` says whether the run is complete.
        quiet: No progress bar.

    Raises:
        MienError: The folder holds another run, the data lack a split, the weights do not fit, or the loss is no
            longer finite.
    """
    check_processes(recipe.training)
    check_folder(folder, resume=resume)
    L.seed_everything(recipe.training.seed, verbose=False)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    check_images(recipe, dataset)  # hours of training would be lost without the images to score
    siblings = count_siblings(dataset, recipe.data.train_split, recipe.data.scored_split)
    if warning := describe_siblings(siblings, recipe.data.scored_split):
        note(warning)
    train = make_faces(dataset.split(recipe.data.train_split), recipe)
    validation = make_faces(dataset.split(recipe.data.validation_split), recipe, use_own_labels=True)
    spec = measure_input(train, recipe)
    stored = open_reinforcement(recipe, dataset, train, spec)
    batches = FaceBatches(stored.faces(train, recipe) if stored else train, validation, recipe)
    network = create_network(recipe, len(dataset.label_set))
    record = new_record(recipe, dataset, train.targets, network, spec)
    record.data |= {"siblings": siblings} if siblings else {}
    record.data |= {"reinforced": stored.description} if stored else {}
    record.weights = _load_weights(network, recipe, record)
    if (folder / RECORD).exists():
        record = continue_record(RunRecord.load(folder / RECORD), record, folder)
        if record.finished:
            return _selected(folder, validation)
    if recipe.fit_classifier and not record.curves:
        fit_classifier(network, train, spec, recipe)
        save_start(network, folder)
    wanted, given = recipe.training.precision, precision_here(recipe.training)
    if given != wanted:
        note(f"this processor does not compute in {wanted}; training continues in {given}")
    with without_advice():
        task = Task(network, recipe, spec, dataset.label_set.names, class_counts(train, recipe))
        teachers = [teacher.description for teacher in task.distillation.teachers] if task.distillation else []
        teachers = stored.teachers if stored else teachers
        if record.curves:
            check_teachers(record.teachers, teachers, folder)
        record.teachers = teachers
        folder.mkdir(parents=True, exist_ok=True)
        keeper = RecordKeeper(record, folder / RECORD, minutes)
        keeper.save()
        if keeper.has_time():
            train_to_end(task, batches, keeper, recipe, resume=resume, quiet=quiet)
    return _selected(folder, validation)


def _selected(folder: Path, validation: Faces) -> Run:
    """Load the selected weights of a run, and write into its record which these are."""
    run = load_run(folder)
    if run.recipe.fit_classifier and run.record.finished and is_start_kept(run, validation):
        run.record.selection["epoch"] = START
        run.record.save(folder / RECORD)
        run = load_run(folder)
    if is_first_process():
        run.record.save(folder / RECORD)
    return run


def _load_weights(network: Network, recipe: Recipe, record: RunRecord) -> dict[str, Any]:
    """Load the recipe's initial weights; return their entry in the run record."""
    if not recipe.weights:
        return {}
    found = find_weights(recipe.weights)
    notes = load_weights(network, found.path, record.outputs, found.outputs)
    with found.path.open("rb") as file:
        return {"file": found.path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest(), "notes": notes}


def train_to_end(  # noqa: PLR0913 - the run's parts and how to run it
    task: L.LightningModule,
    batches: L.LightningDataModule,
    keeper: RecordKeeper,
    recipe: Recipe | DetectorRecipe,
    *,
    resume: bool,
    quiet: bool,
) -> None:
    """Train to the end; turn the failures that users can mend into one-line errors."""
    folder = keeper.path.parent
    trainer = _make_trainer(recipe, keeper, quiet=quiet)
    last = folder / CHECKPOINTS / "last.ckpt"
    advice = f"Continue with --resume --out {folder}."
    try:
        # weights_only: a checkpoint from elsewhere must not run code
        checkpoint = last if resume and last.exists() else None
        trainer.fit(task, datamodule=batches, ckpt_path=checkpoint, weights_only=True)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # infinities reached a decomposition before the loss
        raise MienError(NOT_A_NUMBER.format(epoch=trainer.current_epoch + 1)) from None
    except (RuntimeError, MemoryError) as error:
        if trainer.world_size > 1 and any(words in str(error).lower() for words in LOST_CONNECTION):
            raise MienError(f"Another process of this run has ended. {advice}") from None
        # torch has an error class for accelerators only; its CPU allocator raises a plain RuntimeError
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        raise MienError(
            f"The device ran out of memory in epoch {trainer.current_epoch + 1}; earlier checkpoints are intact. "
            "Lower training.batch_size or network.input_size."
        ) from None
    except DataError as error:
        # torch puts a worker process's traceback before the message
        line = str(error).strip().splitlines()[-1]
        raise DataError(line.removeprefix(f"{DataError.__module__}.{DataError.__name__}: ")) from None
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise MienError(f"No space for {folder} ({error.strerror}); the last checkpoint is intact. {advice}") from None
    except SystemExit:  # Lightning's answer to Ctrl-C and SIGTERM
        raise InterruptedTrainingError(f"Training was interrupted. {advice}") from None
    keeper.finish(trainer)  # after the last checkpoint is on the disk


def _make_trainer(recipe: Recipe | DetectorRecipe, keeper: RecordKeeper, *, quiet: bool) -> L.Trainer:
    folder = keeper.path.parent
    checkpoints = folder / CHECKPOINTS
    monitor, mode = MONITORED[recipe.training.selection]
    # Two callbacks, because `save_last` of the first would write only when the best epoch changes.
    callbacks: list[Callback] = [
        MovableCheckpoint(checkpoints, filename="best", monitor=monitor, mode=mode, enable_version_counter=False),
        MovableCheckpoint(checkpoints, filename="last", enable_version_counter=False),
        keeper,
    ]
    if recipe.training.patience:
        on = recipe.training.patience_on
        mode = "min" if on == "loss" else "max"
        callbacks.append(EarlyStopping(f"validation/{on}", mode=mode, patience=recipe.training.patience))
    if not quiet:
        callbacks.append(Progress())
    logger = TensorBoardLogger(folder, name="tensorboard", version="")
    return create_trainer(recipe.training, callbacks, epochs=recipe.schedule.epochs, logger=logger)
