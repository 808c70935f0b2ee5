"""Trains the runs of a queue unattended, within a time budget.

A ledger keeps the state of the runs: finished ones are not repeated, unfinished ones are resumed, failed ones are
tried again, and a run whose teachers are not finished waits.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mien.core.errors import InterruptedTrainingError, MienError
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.recipes import Recipe
from mien.recipes.queue import Job
from mien.recipes.record import name_hardware
from mien.training.batches import divide_data, load_faces, make_options
from mien.training.fit import fit
from mien.training.hardware import describe_hardware
from mien.training.ledger import Ledger, LedgerRow
from mien.training.run import Run

# Assumed without any measurement, for a first epoch and again for publishing: a share of the budget, at most minutes.
UNKNOWN_SHARE, UNKNOWN_MINUTES = 0.1, 1.0
# Images of 224 pixels take gigabytes.
DATASETS_IN_MEMORY = 2


@dataclass
class Worker:
    """Trains runs one after the other, within a budget.

    Args:
        ledger: Read and written; the runs lie beside it.
        data: Folder of the data sets; None for those that need none.
        publish: Makes a model file of a finished run and returns its scores.
        report: Called with one line about each run.
        minutes: The budget; None: no limit.
        start: When the budget started, by `time.monotonic`.
    """

    ledger: Ledger
    data: Path | None
    publish: Callable[[Run, FaceDataset], dict[str, Any]]
    report: Callable[[str], None]
    minutes: float | None = None
    start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.hardware = name_hardware(describe_hardware())
        self.threads = torch.get_num_threads()
        self.datasets: dict[tuple[str, LoadOptions], FaceDataset] = {}
        self.not_started: list[str] = []
        self.waiting: list[str] = []

    def run_all(self, jobs: Iterable[Job]) -> list[LedgerRow]:
        """Train what is not finished, as far as the time allows; return the rows of the runs that failed.

        The error of a failed run goes into its row, and the next run starts. After an interruption the ledger on disk
        has the run as unfinished.

        Raises:
            MienError: The ledger holds one of the runs with other settings.
            KeyboardInterrupt: The user, or the system, ended it.
        """
        jobs = list(jobs)
        for job in jobs:
            self._check_settings(job)
        rows = [self._run(job) for job in jobs]
        if self.waiting:
            self.report(f"waiting for their teachers: {', '.join(self.waiting)}")
        if self.not_started:
            self.report(f"too little time is left for {len(self.not_started)} more: {', '.join(self.not_started)}")
        return [row for row in rows if row is not None and row.state == "failed"]

    def _check_settings(self, job: Job) -> None:
        old, new = self.ledger.rows.get(job.key), LedgerRow.of(job)
        if old and (old.recipe, old.ablation, old.overrides) != (new.recipe, new.ablation, new.overrides):
            raise MienError(
                f"{self.ledger.folder} holds {job.label} with other settings; rename it in the queue or name another "
                "--out."
            )

    def _run(self, job: Job) -> LedgerRow | None:
        """Train one run as far as the time allows; None: it is finished, has no time, or waits for a teacher."""
        row = self.ledger.rows.get(job.key) or LedgerRow.of(job)
        if row.state == "finished":
            return None
        if not all(self._is_finished(teacher) for teacher in job.teachers):
            self.waiting.append(job.label)
            return None
        try:
            is_trained = row.read_record(self.ledger.folder)
            recipe = job.load_recipe(self.ledger.folder)
            row.epochs_planned = recipe.schedule.epochs
            dataset = self._dataset(recipe) if self._has_time_for(row, is_trained=is_trained) else None
            if dataset is None or not self._has_time_for(row, is_trained=is_trained):  # loading took its time
                self.not_started.append(job.label)
                return None
            # on disk before the first step, so that a killed run is found again
            row.state, row.message = "unfinished", ""
            self.ledger.add(row)
            self._train_and_publish(row, job, recipe, dataset)
        except Exception as error:  # a run may fail in any way; the others must still run
            with contextlib.suppress(MienError):
                row.read_record(self.ledger.folder)
            if isinstance(error, InterruptedTrainingError):
                self.ledger.add(row)
                self.report(f"interrupted; rerun to continue. {_summary(job, row)}")
                raise KeyboardInterrupt from None
            row.state, row.message = "failed", _one_line(error)
        self.ledger.add(row)
        self.report(_summary(job, row))
        return row

    def _is_finished(self, job: Job) -> bool:
        row = self.ledger.rows.get(job.key)
        return row is not None and row.state == "finished"

    def _train_and_publish(self, row: LedgerRow, job: Job, recipe: Recipe, dataset: FaceDataset) -> None:
        self._clear_memory()
        start, trained_before = time.monotonic(), row.minutes
        folder = self.ledger.folder / job.folder
        run = fit(recipe, dataset, folder, resume=True, minutes=self._minutes_left(row), quiet=True)
        row.read_record(self.ledger.folder)
        if not run.record.finished:
            return
        row.scores = _brief(self.publish(run, dataset))
        row.state = "finished"
        row.overhead_minutes = round((time.monotonic() - start) / 60 - (row.minutes - trained_before), 3)

    def _has_time_for(self, row: LedgerRow, *, is_trained: bool) -> bool:
        """Return whether an epoch of a run fits into the time left; of a trained one, whether publishing does."""
        left = self._minutes_left(row)
        if left is None:
            return True
        epoch = 0.0 if is_trained else self.ledger.estimate(row, self.hardware, "minutes_per_epoch")
        return left > 0 and left >= (self._guess() if epoch is None else epoch)

    def _minutes_left(self, row: LedgerRow) -> float | None:
        """Return how long a run may train now, with time for publishing reserved; None: no limit."""
        if self.minutes is None:
            return None
        overhead = self.ledger.estimate(row, self.hardware, "overhead_minutes")
        spent = (time.monotonic() - self.start) / 60
        return self.minutes - spent - (self._guess() if overhead is None else overhead)

    def _guess(self) -> float:
        return min(UNKNOWN_MINUTES, UNKNOWN_SHARE * (self.minutes or 0.0))

    def _dataset(self, recipe: Recipe) -> FaceDataset:
        """Return the recipe's data set in its splits; the last ones loaded stay in memory."""
        key = (recipe.data.dataset, make_options(recipe))
        dataset = self.datasets.pop(key, None)
        if dataset is None:
            while len(self.datasets) >= DATASETS_IN_MEMORY:
                del self.datasets[next(iter(self.datasets))]
            dataset = load_faces(recipe, self.data)
        self.datasets[key] = dataset
        return divide_data(recipe, dataset)

    def _clear_memory(self) -> None:
        """Remove what the previous run left: its threads, its compiled code, its memory."""
        torch.set_num_threads(self.threads)
        if "torch._dynamo" in sys.modules:  # importing it takes seconds, and nothing was compiled without it
            torch.compiler.reset()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    """Keep of all scores what a table of runs shows."""
    keys = ("accuracy", "mean_class_accuracy", "n")
    return {
        "split": scores["split"],
        **{key: scores[key] for key in keys},
        "without_duplicates": {key: scores["without_duplicates"][key] for key in keys},
    }


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MienError) else f"{type(error).__name__}: {text}"


def _summary(job: Job, row: LedgerRow) -> str:
    text = f"{job.label}: {row.state}, {row.epochs_done} of {row.epochs_planned} epochs, {row.minutes:.1f} minutes"
    if row.state == "failed":
        return f"{text}: {row.message}"
    return f"{text}, {100 * row.scores['accuracy']:.2f} % of {row.scores['split']}" if row.scores else text
