"""The record of a run: started, continued and updated after every epoch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from pydantic import BaseModel
from torch import Tensor

from mien.core.card import InputSpec
from mien.core.dotted import flatten
from mien.core.errors import MienError
from mien.data.dataset import FaceDataset
from mien.models.complexity import count_macs, count_parameters
from mien.models.network import Network
from mien.recipes import Recipe, parse_recipe
from mien.recipes.record import CHECKPOINTS, RECORD, RunRecord, current_commit, now
from mien.training.hardware import describe_hardware, precision_here
from mien.training.processes import is_first_process
from mien.training.run import load_checkpoint

# Settings that may change when a run is resumed: those of speed, and files and folders whose content is compared.
MAY_CHANGE = frozenset({"training.threads", "distillation.teachers", "distillation.reinforced", "weights"})


def new_record(recipe: Recipe, dataset: FaceDataset, targets: Tensor, network: Network, spec: InputSpec) -> RunRecord:
    """Return the record of a run that has not started, with `targets` (n, K) of the training faces."""
    return RunRecord(
        name=recipe.name,
        recipe=recipe.model_dump(),
        data={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "counts": dataset.counts(),
            "protocol": recipe.data.make_protocol(recipe.training.seed).describe(),
            "score_split": recipe.data.scored_split,
            "targets": hashlib.sha256(targets.numpy().tobytes()).hexdigest(),
        },
        labels=list(dataset.label_set.names),
        parameters=count_parameters(network),
        mean=spec.mean,
        std=spec.std,
        macs=_macs(network, spec),
        is_grey=spec.is_grey,
        started=now(),
        commit=current_commit(),
        hardware=describe_hardware() | {"precision": precision_here(recipe.training)},
    )


def _macs(network: Network, spec: InputSpec) -> int:
    try:
        with torch.random.fork_rng(
            devices=[]
        ):  # random numbers drawn while folding must not change those of the training
            return count_macs(network.folded(), spec.size, spec.channels)
    except (RuntimeError, TypeError):  # a plug-in's network that computes with values: counting uses shapes only
        return 0


def continue_record(
    old: RunRecord, new: RunRecord, folder: Path, parse: Callable[[Mapping[str, Any], str], BaseModel] = parse_recipe
) -> RunRecord:
    """Return the record that a resumed run continues: the old one up to its last checkpoint, or a new one without any.

    Args:
        old: As found in `folder`.
        new: Of the run that is about to start.
        folder: The run folder.
        parse: Validates the old record's recipe and fills in the defaults of newer settings.

    Raises:
        MienError: The run was started with other weights, another recipe or other data.
    """
    last = folder / CHECKPOINTS / "last.ckpt"
    done = int(load_checkpoint(last)["epoch"]) + 1 if last.exists() else 0
    has_begun = done > 0 or old.finished
    if (new.weights or not has_begun) and new.weights.get("sha256") != old.weights.get("sha256"):
        before, now_given = (record.weights.get("file", "random weights") for record in (old, new))
        raise MienError(
            f"{folder} was started from {before}, not from {now_given}; use those weights or name another --out."
        )
    if not has_begun:
        return new
    # a setting that is newer than the record has its default
    was, wanted = flatten(parse(old.recipe, str(folder / RECORD)).model_dump()), flatten(new.recipe)
    changed = [key for key in {**was, **wanted} if was.get(key) != wanted.get(key) and key not in MAY_CHANGE]
    if changed:
        differences = ", ".join(f"{key} {was.get(key, 'unset')}, now {wanted.get(key, 'unset')}" for key in changed)
        raise MienError(f"{folder} was run with another recipe ({differences}); name another --out.")
    if any(old.data.get(key, new.data[key]) != new.data[key] for key in ("fingerprint", "targets")):
        raise MienError(f"{folder} was run on other data; name another --out.")
    if old.data.get("reinforced") != new.data.get("reinforced"):
        raise MienError(f"{folder} was run on other stored views; name those in distillation.reinforced.")
    # the run may have been killed between the record of an epoch and its checkpoint
    old.curves = [point for point in old.curves if point["epoch"] < done]
    old.minutes = old.curves[-1]["minutes"] if old.curves else 0.0
    # the file is no longer needed, and what it was stays known
    weights = {"weights": old.recipe["weights"]} if old.recipe.get("weights") and not new.recipe.get("weights") else {}
    old.recipe = new.recipe | weights
    return old


def check_teachers(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Raise `MienError` if a run is resumed with other teachers; their folders may have moved."""
    was, now_given = (sorted(str(teacher.get("sha256")) for teacher in teachers) for teachers in (old, new))
    if was != now_given:
        names = [", ".join(str(teacher["name"]) for teacher in teachers) or "none" for teachers in (old, new)]
        raise MienError(f"{folder} was started with other teachers ({names[0]}, now {names[1]}); name another --out.")


class RecordKeeper(Callback):
    """Adds every epoch to the run record, and stops a run when its time is over.

    Args:
        record: Of the run.
        path: Its file.
        minutes: Time to train for; None: no limit.
    """

    def __init__(self, record: RunRecord, path: Path, minutes: float | None) -> None:
        self.record, self.path, self.minutes = record, path, minutes
        self.minutes_before = record.minutes
        self.start = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append one point to the curves; stop the run if another epoch would not fit."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.record.minutes = round(self.minutes_before + (time.monotonic() - self.start) / 60, 4)
        self.record.curves.append(
            {
                "epoch": trainer.current_epoch,
                "train_loss": round(metrics["train/loss"], 5),
                "validation_accuracy": round(metrics["validation/accuracy"], 5),
                "validation_loss": round(metrics["validation/loss"], 5),
                **({"validation_top5": round(metrics["validation/top5"], 5)} if "validation/top5" in metrics else {}),
                "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
                "minutes": self.record.minutes,
            }
        )
        if not trainer.strategy.broadcast(self.has_time()):
            trainer.should_stop = True
        self.save()

    def has_time(self) -> bool:
        """Return whether another epoch fits, if it takes as long as the last one; before the first: yes."""
        if self.minutes is None or not self.record.curves:
            return True
        before, now = [0.0, *(point["minutes"] for point in self.record.curves)][-2:]
        return now - self.minutes_before + now - before <= self.minutes

    def finish(self, trainer: L.Trainer) -> None:
        """Note whether the run is complete: out of epochs or of patience, not only out of time."""
        patience = trainer.early_stopping_callback
        is_out_of_patience = patience is not None and patience.wait_count >= patience.patience
        self.record.finished = is_out_of_patience or self.record.curves[-1]["epoch"] + 1 == trainer.max_epochs
        self.save()

    def save(self) -> None:
        """Write the record; of several processes the first does."""
        if is_first_process():
            self.record.save(self.path)
