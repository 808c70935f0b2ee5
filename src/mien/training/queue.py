"""A queue of runs, best value first: a TOML file of `[[run]]` tables, each of which makes one run for every seed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from mien.core.errors import RecipeError, did_you_mean
from mien.recipes import Recipe, load_recipe
from mien.recipes.record import RECORD
from mien.recipes.schema import Settings
from mien.training.ledger import LedgerRow

Hardware = Literal["any", "accelerator", "cpu"]


class QueueEntry(Settings):
    """One line of a queue: a recipe, what is changed in it, and the seeds to run it with.

    `name` replaces the recipe's own in records and model files. `hardware` "accelerator" or "cpu" leaves the entry
    out on the other kind, unless it is asked for by name. `teachers` names entries before it; the finished runs of all
    their seeds teach it (`distillation.teachers`).
    """

    name: str = Field(pattern=r"^[\w.+-]+(/[\w.+-]+)*$")
    recipe: str
    ablation: str | None = None
    overrides: list[str] = Field(default_factory=list, alias="set")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1)
    hardware: Hardware = "any"
    teachers: list[str] = Field(default_factory=list)
    why: str = ""


class _QueueFile(Settings):
    run: list[QueueEntry] = Field(min_length=1)


@dataclass(frozen=True)
class Job:
    """One run of a queue, and the runs that teach it."""

    entry: QueueEntry
    seed: int
    teachers: tuple[Job, ...] = ()

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
        changes = [*entry.overrides, *self._teachers_in(Path())]
        return LedgerRow(entry.name, entry.recipe, entry.ablation, changes, self.seed, record=record)

    def load_recipe(self, runs: Path = Path()) -> Recipe:
        """Read the recipe with everything that the queue changes in it.

        Args:
            runs: The ledger's folder, where the teachers lie.

        Raises:
            RecipeError: It is unknown or does not fit, or wants several processes.
        """
        overrides = (*self.entry.overrides, *self._teachers_in(runs))
        changes = (*overrides, f"training.seed={self.seed}", f'name="{self.entry.name}"')
        recipe = load_recipe(self.entry.recipe, changes, self.entry.ablation)
        if recipe.training.devices * recipe.training.nodes > 1:
            raise RecipeError("A queue trains in one process; run recipes with several devices by `mien train`.")
        return recipe

    def _teachers_in(self, runs: Path) -> list[str]:
        folders = [str(runs / teacher.folder) for teacher in self.teachers]
        return [f"distillation.teachers={json.dumps(folders, ensure_ascii=False)}"] if folders else []


def load_queue(path: Path) -> list[QueueEntry]:
    """Read a queue file.

    Raises:
        RecipeError: No such file, not TOML, an unknown key, two entries of one name, or a teacher that no entry before
            it names.
    """
    if not path.is_file():
        raise RecipeError(f"No queue file {path}; expected a .toml file of [[run]] tables.")
    try:
        entries = _QueueFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).run
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Queue {path} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"Queue {path}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}.") from None
    folders = [Job(entry, 0).folder for entry in entries]
    twice = next(
        (entry.name for entry, folder in zip(entries, folders, strict=True) if folders.count(folder) > 1), None
    )
    if twice:
        raise RecipeError(f"Queue {path} names '{twice}' twice (a / counts as a -); names tell runs apart.")
    for number, entry in enumerate(entries):
        before = [earlier.name for earlier in entries[:number]]
        for teacher in entry.teachers:
            if teacher not in before:
                raise RecipeError(
                    f"Queue {path}: '{teacher}', a teacher of '{entry.name}', is no run before it."
                    f"{did_you_mean(teacher, before)}"
                )
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
    named = {entry.name: entry for entry in entries}
    return [
        Job(entry, seed, tuple(Job(named[name], each) for name in entry.teachers for each in named[name].seeds))
        for entry in entries
        if (any(fnmatchcase(entry.name, pattern) for pattern in only) if only else entry.hardware in here)
        for seed in entry.seeds
    ]
