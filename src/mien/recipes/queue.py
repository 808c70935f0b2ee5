"""A queue of runs: a TOML file of `[[run]]` tables, each of which makes one run for every seed."""

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
from mien.core.text import read_text
from mien.data.protocols import FOLDED
from mien.recipes.loading import load_recipe
from mien.recipes.schema import Recipe
from mien.recipes.settings import Settings


class QueueEntry(Settings):
    """One `[[run]]` table: a recipe, what is changed in it, and the seeds to run it with.

    `name` replaces the recipe's own in records and model files. `hardware` "accelerator" or "cpu" skips the entry on
    the other kind, unless it is requested by name. `teachers` names earlier entries; the finished runs of all their
    seeds become its `distillation.teachers`. `reinforced` is a folder of `mien reinforce` beside the runs. `folds`
    makes one run for every fold of its protocol, named NAME-fold0 and so on.
    """

    name: str = Field(pattern=r"^[\w.+-]+(/[\w.+-]+)*$")
    recipe: str
    ablation: str | None = None
    overrides: list[str] = Field(default_factory=list, alias="set")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1)
    hardware: Literal["any", "accelerator", "cpu"] = "any"
    teachers: list[str] = Field(default_factory=list)
    reinforced: str = ""
    folds: bool = False
    why: str = ""


class _QueueFile(Settings):
    run: list[QueueEntry] = Field(min_length=1)


@dataclass(frozen=True)
class Job:
    """One run of a queue, and the runs that are its teachers."""

    entry: QueueEntry
    seed: int
    teachers: tuple[Job, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """The run's name and seed, its key in a ledger."""
        return self.entry.name, self.seed

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.entry.name} seed {self.seed}"

    @property
    def folder(self) -> str:
        """The name of the run's folder, which is beside the ledger."""
        return f"{self.entry.name.replace('/', '-')}-seed{self.seed}"

    def overrides(self, runs: Path = Path()) -> list[str]:
        """Return what the queue changes in the recipe apart from name and seed, with teachers in the folder `runs`."""
        folders = [str(runs / teacher.folder) for teacher in self.teachers]
        added = {"teachers": folders, "reinforced": self.entry.reinforced and str(runs / self.entry.reinforced)}
        own = [f"distillation.{k}={json.dumps(value, ensure_ascii=False)}" for k, value in added.items() if value]
        return [*self.entry.overrides, *own]

    def load_recipe(self, runs: Path = Path()) -> Recipe:
        """Read the recipe with everything that the queue changes in it.

        Args:
            runs: The ledger's folder, where the teachers lie.

        Raises:
            RecipeError: It is unknown, a value does not fit, or it needs several processes.
        """
        changes = [*self.overrides(runs), f"training.seed={self.seed}", f'name="{self.entry.name}"']
        recipe = load_recipe(self.entry.recipe, changes, self.entry.ablation)
        if recipe.training.processes > 1:
            raise RecipeError("A queue trains in one process; use `mien train` for recipes with several devices.")
        return recipe


def make_entry(name: str, recipe: str, ablation: str | None, overrides: list[str]) -> QueueEntry:
    """Return an entry with one seed; `RecipeError` if its name cannot name a run."""
    try:
        return QueueEntry(name=name, recipe=recipe, ablation=ablation, set=overrides)
    except ValidationError:
        raise RecipeError(
            f"'{name}' cannot name a run: use letters, digits and . _ + - with / between parts."
        ) from None


def load_queue(path: Path) -> list[QueueEntry]:
    """Read a queue file.

    Raises:
        RecipeError: No such file, not TOML, an unknown key, a name used twice, or a teacher that is not an earlier
            entry.
    """
    if not path.is_file():
        raise RecipeError(f"No queue file {path}; expected a .toml file of [[run]] tables.")
    try:
        entries = _QueueFile.model_validate(tomllib.loads(read_text(path))).run
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Queue {path} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"Queue {path}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}.") from None
    earlier: dict[str, str] = {}
    for entry in entries:
        unknown = next((teacher for teacher in entry.teachers if teacher not in earlier.values()), None)
        if unknown:
            raise RecipeError(
                f"Queue {path}: '{unknown}', a teacher of '{entry.name}', is not an earlier run."
                f"{did_you_mean(unknown, earlier.values())}"
            )
        folder = Job(entry, 0).folder
        if folder in earlier:
            raise RecipeError(f"Queue {path} uses the name '{entry.name}' twice (/ and - count as equal); rename one.")
        earlier[folder] = entry.name
    return entries


def choose_jobs(entries: Sequence[QueueEntry], only: Sequence[str] = (), *, has_accelerator: bool) -> list[Job]:
    """Return the runs of a queue in their order.

    Args:
        entries: The queue.
        only: Names, or patterns such as `despam/*`; all that fit the hardware when empty.
        has_accelerator: Whether this machine trains on one.

    Raises:
        RecipeError: A pattern matches no entry, or an entry asks for folds that its protocol does not have.
    """
    names = [entry.name for entry in entries]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise RecipeError(
                f"The queue has no run '{pattern}'.{did_you_mean(pattern, names)} Runs: {', '.join(names)}."
            )
    here = {"any", "accelerator" if has_accelerator else "cpu"}
    by_name = {entry.name: entry for entry in entries}
    return [
        Job(entry, seed, tuple(Job(by_name[name], each) for name in entry.teachers for each in by_name[name].seeds))
        for whole in entries
        if (any(fnmatchcase(whole.name, pattern) for pattern in only) if only else whole.hardware in here)
        for entry in _split_folds(whole)
        for seed in entry.seeds
    ]


def _split_folds(entry: QueueEntry) -> list[QueueEntry]:
    """Return an entry for every fold, or the entry itself unless it asks for folds."""
    if not entry.folds:
        return [entry]
    data = Job(entry, 0).load_recipe().data
    if data.protocol not in FOLDED:
        raise RecipeError(f"The queue's run '{entry.name}' asks for folds; its protocol '{data.protocol}' has none.")
    return [
        entry.model_copy(
            update={
                "name": f"{entry.name}-fold{fold}",
                "overrides": [*entry.overrides, f"data.fold={fold}"],
                "folds": False,
            }
        )
        for fold in range(data.folds)
    ]
