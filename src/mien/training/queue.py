"""A queue of runs, worked off unattended within a time budget, best value first.

A queue is a TOML file of `[[run]]` tables in order of value; each makes one run for every seed. What became of them
stands in a ledger: a finished run is not repeated, an unfinished one goes on, a failed one is tried again.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError

from mien.core.errors import InterruptedTrainingError, MienError, RecipeError, did_you_mean
from mien.data.dataset import FaceDataset
from mien.training.batches import divide_data, load_faces
from mien.training.fit import fit
from mien.training.ledger import Ledger, LedgerRow, hardware_here
from mien.training.recipe import Recipe, load_recipe
from mien.training.run import RECORD, Run
from mien.training.settings import Settings

Hardware = Literal["any", "accelerator", "cpu"]
# What a run without any measurement is taken to need for its first epoch, and again outside its epochs.
UNKNOWN_SHARE, UNKNOWN_MINUTES = 0.1, 1.0
# Pictures at 224 pixels fill gigabytes.
DATASETS_IN_MEMORY = 2


class QueueEntry(Settings):
    """One line of a queue: a recipe, what is changed in it, and the seeds to run it with.

    `name` replaces the recipe's own in records and model files. `hardware` "accelerator" or "cpu" leaves the entry
    out on the other kind, unless it is asked for by name.
    """

    name: str = Field(pattern=r"^[\w.+-]+(/[\w.+-]+)*$")
    recipe: str
    ablation: str | None = None
    overrides: list[str] = Field(default_factory=list, alias="set")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1)
    hardware: Hardware = "any"
    why: str = ""


class _QueueFile(Settings):
    run: list[QueueEntry] = Field(min_length=1)


@dataclass(frozen=True)
class Job:
    """One run of a queue."""

    entry: QueueEntry
    seed: int

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.entry.name} seed {self.seed}"

    @property
    def folder(self) -> str:
        """Its folder beside the ledger."""
        return f"{self.entry.name.replace('/', '-')}-seed{self.seed}"

    def new_row(self) -> LedgerRow:
        """Return the row of a run that has not begun."""
        entry = self.entry
        record = f"{self.folder}/{RECORD}"
        return LedgerRow(entry.name, entry.recipe, entry.ablation, list(entry.overrides), self.seed, record=record)

    def load_recipe(self) -> Recipe:
        """Read the recipe with everything that the queue changes in it.

        Raises:
            RecipeError: It is unknown or does not fit, or wants several processes.
        """
        changes = (*self.entry.overrides, f"training.seed={self.seed}", f'name="{self.entry.name}"')
        recipe = load_recipe(self.entry.recipe, changes, self.entry.ablation)
        if recipe.training.devices * recipe.training.nodes > 1:
            raise RecipeError("A queue trains in one process; run recipes with several devices by `mien train`.")
        return recipe


def load_queue(path: Path | None = None) -> list[QueueEntry]:
    """Read a queue file; without a path, the one that comes with mien.

    Raises:
        RecipeError: No such file, not TOML, an unknown key, or two entries of one name.
    """
    source: Traversable = files("mien") / "recipes" / "queue.toml" if path is None else path
    if not source.is_file():
        raise RecipeError(f"No queue file {source}.")
    try:
        entries = _QueueFile.model_validate(tomllib.loads(source.read_text(encoding="utf-8"))).run
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Queue {source} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"Queue {source}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}.") from None
    folders = [Job(entry, 0).folder for entry in entries]
    twice = next(
        (entry.name for entry, folder in zip(entries, folders, strict=True) if folders.count(folder) > 1), None
    )
    if twice:
        raise RecipeError(f"Queue {source} names '{twice}' twice (a / counts as a -); names tell runs apart.")
    return entries


def choose_jobs(entries: Sequence[QueueEntry], only: Sequence[str] = (), *, has_accelerator: bool) -> list[Job]:
    """Return the runs of a queue in their order.

    Args:
        entries: The queue.
        only: Names, or patterns such as `despam/*`; all that fit the hardware when empty.
        has_accelerator: Whether this machine trains on one.

    Raises:
        RecipeError: A name fits no entry.
    """
    names = [entry.name for entry in entries]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise RecipeError(
                f"The queue has no run '{pattern}'.{did_you_mean(pattern, names)} Runs: {', '.join(names)}."
            )
    here = {"any", "accelerator" if has_accelerator else "cpu"}
    return [
        Job(entry, seed)
        for entry in entries
        if (any(fnmatchcase(entry.name, pattern) for pattern in only) if only else entry.hardware in here)
        for seed in entry.seeds
    ]


@dataclass
class Worker:
    """Works off runs one after the other, within a budget.

    Args:
        ledger: Read and written; the runs lie beside it.
        data: Folder of the data sets; None for those that need none.
        publish: Makes a model file of a finished run and returns its scores.
        report: Called with one line about each run.
        minutes: The budget; None: no limit.
        start: When the budget began, by `time.monotonic`.
    """

    ledger: Ledger
    data: Path | None
    publish: Callable[[Run, FaceDataset], dict[str, Any]]
    report: Callable[[str], None]
    minutes: float | None = None
    start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.hardware = hardware_here("cuda" if torch.cuda.is_available() else "cpu")
        self.threads = torch.get_num_threads()
        self.datasets: dict[tuple[str, int, int, bool], FaceDataset] = {}
        self.not_started: list[str] = []

    def work_off(self, jobs: Iterable[Job]) -> list[LedgerRow]:
        """Train what is not finished, as far as the time goes; return the rows of the runs that failed.

        A failure of one run stands in its row, and the next begins. An interruption leaves the ledger as it is on
        disk, with the run as unfinished.

        Raises:
            MienError: The ledger holds one of the runs with other settings.
            KeyboardInterrupt: The user, or the system, ended it.
        """
        jobs = list(jobs)
        for job in jobs:
            self._check_settings(job)
        rows = [self._work_on(job) for job in jobs]
        if self.not_started:
            self.report(f"too little time is left for {len(self.not_started)} more: {', '.join(self.not_started)}")
        return [row for row in rows if row is not None and row.state == "failed"]

    def _check_settings(self, job: Job) -> None:
        old, new = self.ledger.rows.get((job.entry.name, job.seed)), job.new_row()
        if old and (old.recipe, old.ablation, old.overrides) != (new.recipe, new.ablation, new.overrides):
            raise MienError(
                f"{self.ledger.folder} holds {job.label} with other settings; rename it in the queue or name another "
                "--out."
            )

    def _work_on(self, job: Job) -> LedgerRow | None:
        """Carry one run as far as the time goes; None: there is nothing to do, or no time for it."""
        row = self.ledger.rows.get((job.entry.name, job.seed), job.new_row())
        if row.state == "finished":
            return None
        try:
            is_trained = row.read_record(self.ledger.folder)
            recipe = job.load_recipe()
            row.epochs_planned = recipe.schedule.epochs
            dataset = self._dataset(recipe) if self._has_time_for(row, is_trained=is_trained) else None
            if dataset is None or not self._has_time_for(row, is_trained=is_trained):  # loading took its time
                self.not_started.append(job.label)
                return None
            # on disk before the first step, so that a killed run is found again
            row.state, row.message = "unfinished", ""
            self.ledger.add(row)
            self._train_and_publish(row, job, recipe, dataset)
        except Exception as error:  # a run may fail in any way; the others must go on
            with contextlib.suppress(MienError):
                row.read_record(self.ledger.folder)
            if isinstance(error, InterruptedTrainingError):
                self.ledger.add(row)
                raise KeyboardInterrupt from None
            row.state, row.message = "failed", _one_line(error)
        self.ledger.add(row)
        self.report(_summary(job, row))
        return row

    def _train_and_publish(self, row: LedgerRow, job: Job, recipe: Recipe, dataset: FaceDataset) -> None:
        self._clear_memory()
        begun, trained_before = time.monotonic(), row.minutes
        folder = self.ledger.folder / job.folder
        run = fit(recipe, dataset, folder, resume=True, minutes=self._minutes_left(row), quiet=True)
        row.read_record(self.ledger.folder)
        if not run.record.finished:
            return
        row.scores = _brief(self.publish(run, dataset))
        row.state = "finished"
        row.overhead_minutes = round((time.monotonic() - begun) / 60 - (row.minutes - trained_before), 3)

    def _has_time_for(self, row: LedgerRow, *, is_trained: bool) -> bool:
        """Tell whether an epoch of a run fits into the time left; of a trained one, whether its publication does."""
        left = self._minutes_left(row)
        if left is None:
            return True
        epoch = 0.0 if is_trained else self.ledger.minutes_per_epoch(row, self.hardware)
        return left > 0 and left >= (self._guess() if epoch is None else epoch)

    def _minutes_left(self, row: LedgerRow) -> float | None:
        """Return how long a run may train now, the time for publishing it kept back; None: no limit."""
        if self.minutes is None:
            return None
        overhead = self.ledger.overhead_minutes(row, self.hardware)
        spent = (time.monotonic() - self.start) / 60
        return self.minutes - spent - (self._guess() if overhead is None else overhead)

    def _guess(self) -> float:
        return min(UNKNOWN_MINUTES, UNKNOWN_SHARE * (self.minutes or 0.0))

    def _dataset(self, recipe: Recipe) -> FaceDataset:
        """Return the recipe's data set in its splits; the last ones loaded stay in memory."""
        use_lazy_images = recipe.training.workers > 0
        key = (recipe.data.dataset, recipe.network.input_size, recipe.network.channels, use_lazy_images)
        dataset = self.datasets.pop(key, None)
        if dataset is None:
            while len(self.datasets) >= DATASETS_IN_MEMORY:
                del self.datasets[next(iter(self.datasets))]
            dataset = load_faces(recipe, self.data)
        self.datasets[key] = dataset
        return divide_data(recipe, dataset)

    def _clear_memory(self) -> None:
        """Leave to a run nothing of the one before it: its threads, its compiled code, its memory."""
        torch.set_num_threads(self.threads)
        if "torch._dynamo" in sys.modules:  # nothing has been compiled before it is imported, which takes seconds
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
        "without_twins": {key: scores["without_twins"][key] for key in keys},
    }


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MienError) else f"{type(error).__name__}: {text}"


def _summary(job: Job, row: LedgerRow) -> str:
    text = f"{job.label}: {row.state}, {row.epochs_done} of {row.epochs_planned} epochs, {row.minutes:.1f} minutes"
    if row.state == "failed":
        return f"{text}: {row.message}"
    return f"{text}, {100 * row.scores['accuracy']:.2f} % of {row.scores['split']}" if row.scores else text
