"""Train the runs of a queue unattended, within a time budget.

A ledger keeps the state of the runs: finished ones are not repeated, unfinished ones are resumed, failed ones are
tried again, and a run whose teachers or stored views are not finished waits.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mien.core.errors import InterruptedTrainingError, MienError
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.data.protocols import divide
from mien.recipes import Recipe
from mien.recipes.adaptation import adapt_steps, chosen_settings
from mien.recipes.queue import Job
from mien.training.fit import fit
from mien.training.ledger import Ledger, LedgerRow
from mien.training.loading import load_faces, make_options
from mien.training.reinforcement import MANIFEST, Manifest
from mien.training.run import Run, brief_scores


@dataclass
class Worker:
    """Trains runs one after the other, within a time budget.

    Args:
        ledger: Read and written; the run folders are beside it.
        data: Folder of the data sets; None if the runs need none.
        publish: Turns a finished run into a model file and returns its scores.
        report: Called with one line about each run.
        deadline: When the budget ends, by `time.monotonic`; None: no limit.
    """

    ledger: Ledger
    data: Path | None
    publish: Callable[[Run, FaceDataset], dict[str, Any]]
    report: Callable[[str], None]
    deadline: float | None = None

    def __post_init__(self) -> None:
        self.threads = torch.get_num_threads()
        self.loaded: tuple[tuple[str, LoadOptions], FaceDataset] | None = None

    def run_all(self, jobs: Sequence[Job]) -> list[LedgerRow]:
        """Train the unfinished runs, as far as the time allows; return the rows of those that failed.

        The error of a failed run goes into its row, and the next run starts. An interrupted run is "unfinished" in the
        ledger on disk.

        Raises:
            MienError: The ledger holds one of the runs with other settings.
            KeyboardInterrupt: The user or the system interrupted the training.
        """
        for job in jobs:
            self._check_settings(job)
        rows, waiting, late = [], [], []
        for job in jobs:
            if self.ledger.is_finished(job):
                continue
            if not (all(map(self.ledger.is_finished, job.teachers)) and self._has_views(job)):
                waiting.append(job.label)
            elif self.deadline is not None and time.monotonic() >= self.deadline:
                late.append(job.label)
            else:
                rows.append(self._run(job))
        if waiting:
            self.report(f"waiting for their teachers or views: {', '.join(waiting)}")
        if late:
            self.report(f"no time is left for {len(late)} more: {', '.join(late)}")
        return [row for row in rows if row.state == "failed"]

    def _has_views(self, job: Job) -> bool:
        """Return whether the stored views that a run needs are complete."""
        folder = self.ledger.folder / job.entry.reinforced
        return not job.entry.reinforced or ((folder / MANIFEST).is_file() and Manifest.load(folder).is_complete)

    def _check_settings(self, job: Job) -> None:
        old, new = self.ledger.rows.get(job.key), LedgerRow.of(job)
        if old and (old.recipe, old.ablation, old.overrides) != (new.recipe, new.ablation, new.overrides):
            raise MienError(
                f"{self.ledger.folder} holds {job.label} with other settings; rename it in the queue or name another "
                "--out."
            )

    def _run(self, job: Job) -> LedgerRow:
        """Train one run as far as the time allows, and publish it once it is finished."""
        row = self.ledger.rows.get(job.key) or LedgerRow.of(job)
        # written before the first step, so that a killed run is resumed
        row.state, row.message = "unfinished", ""
        self.ledger.add(row)
        try:
            recipe = job.load_recipe(self.ledger.folder)
            row.epochs_planned = recipe.schedule.epochs
            dataset = self._load(recipe)
            recipe = self._adapt(job, recipe, dataset)
            self._clear_memory()
            minutes = None if self.deadline is None else (self.deadline - time.monotonic()) / 60
            run = fit(recipe, dataset, self.ledger.folder / job.folder, resume=True, minutes=minutes, quiet=True)
            if run.record.finished:
                row.scores, row.state = brief_scores(self.publish(run, dataset)), "finished"
        except InterruptedTrainingError:
            self.report("interrupted; rerun to continue")
            raise KeyboardInterrupt from None
        except Exception as error:  # a run may fail in any way; the others must still run
            row.state, row.message = "failed", _one_line(error)
        finally:
            with contextlib.suppress(MienError):
                row.read_record(self.ledger.folder)
            self.ledger.add(row)
            self.report(_summary(job, row))
        return row

    def _adapt(self, job: Job, recipe: Recipe, dataset: FaceDataset) -> Recipe:
        """Return the recipe with settings for the number of training images, if these are files."""
        if self.data is None:
            return recipe
        chosen = chosen_settings(job.entry.recipe, job.overrides(), job.entry.ablation)
        adapted = adapt_steps(recipe, int((dataset.splits == recipe.data.train_split).sum()), chosen)
        for note in (*dataset.notes, *adapted.notes):
            self.report(f"{job.label}: {note}")
        return adapted.recipe

    def _load(self, recipe: Recipe) -> FaceDataset:
        """Return the recipe's data set in its splits; the last one loaded stays in memory."""
        key = (recipe.data.dataset, make_options(recipe))
        if self.loaded is None or self.loaded[0] != key:
            self.loaded = None  # free the previous images first: at 224 pixels they take gigabytes
            self.loaded = key, load_faces(recipe, self.data)
        return divide(self.loaded[1], recipe.data.make_protocol(recipe.training.seed))

    def _clear_memory(self) -> None:
        """Undo what the previous run left in the process: number of threads, compiled code, memory."""
        torch.set_num_threads(self.threads)
        if (
            "torch._dynamo" in sys.modules
        ):  # if it was never imported, nothing was compiled, and importing it takes seconds
            torch.compiler.reset()
        gc.collect()
        torch.cuda.empty_cache()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MienError) else f"{type(error).__name__}: {text}"


def _summary(job: Job, row: LedgerRow) -> str:
    text = f"{job.label}: {row.state}, {row.epochs_done} of {row.epochs_planned} epochs, {row.minutes:.1f} minutes"
    if row.state == "failed":
        return f"{text}: {row.message}"
    return f"{text}, {100 * row.scores['accuracy']:.2f} % of {row.scores['split']}" if row.scores else text
