"""Runs that differ by nothing but their seed or fold, and what they say together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.dotted import finite, group
from mien.evaluation.report.runs import Run
from mien.recipes.departures import describe_changes, describe_protocol
from mien.recipes.record import name_hardware

NONE = "\N{EN DASH}"
# In mean and deviation, and in a difference that is negative.
MINUS, PLUS_MINUS = "\N{MINUS SIGN}", "\N{PLUS-MINUS SIGN}"


@dataclass(frozen=True)
class Group:
    """Runs of one recipe, ablation, data set and protocol; `runs` has one at least, in the order of their folders."""

    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run that speaks for all where one must: the first by folder."""
        return self.runs[0]

    @property
    def name(self) -> str:
        """The record's name."""
        return self.first.text("name")

    @property
    def ablation(self) -> str:
        """The ablation that was applied; "" for the recipe itself."""
        return self.first.text("recipe.ablation")

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.first.text("recipe.data.dataset")

    @property
    def title(self) -> str:
        """Name, and ablation where there is one."""
        return self.name + (f", {self.ablation}" if self.ablation else "")

    @property
    def key(self) -> tuple[str, ...]:
        """What the runs have in common, besides their size."""
        return (self.name, self.ablation, self.dataset, self.protocol, self.selection)

    @property
    def accuracies(self) -> list[float]:
        """The accuracy of each run that has one, shares in [0, 1]."""
        return [run.accuracy for run in self.runs if run.accuracy is not None]

    @property
    def protocol(self) -> str:
        """How the data were split, and what was scored."""
        return describe_protocol(self.first.record)

    @property
    def selection(self) -> str:
        """How the weights were chosen."""
        chosen = (self.first.text("scores.selection.rule"), self.first.text("selection.rule"))
        return next((words for words in chosen if words), "not said")

    @property
    def hardware(self) -> str:
        """Accelerator, or processor where there is none; all kinds that were used."""
        return "; ".join(sorted({name_hardware(group(run.record, "hardware")) or "not said" for run in self.runs}))

    @property
    def epochs(self) -> str:
        """Epochs run, of those planned."""
        done = sorted({len(run.record["curves"]) for run in self.runs})
        planned = self.first.number("recipe.schedule.epochs")
        words = str(done[0]) if len(done) == 1 else f"{done[0]} to {done[-1]}"
        return words if planned is None or done == [planned] else f"{words} of {planned:g}"

    @property
    def is_finished(self) -> bool:
        """Whether every run came to its end."""
        return all(run.look_up("finished") is not False for run in self.runs)

    def scores(self, key: str) -> list[float]:
        """Return one score of each run that has it."""
        found = (run.number(f"scores.{key}") for run in self.runs)
        return [value for value in found if value is not None]

    def labels(self) -> tuple[str, ...]:
        """Return the labels in their order; empty where the runs do not agree or do not say."""
        sets = {_labels(run) for run in self.runs}
        return sets.pop() if len(sets) == 1 else ()

    def confusion(self) -> NDArray[np.int64] | None:
        """Return the counts of all runs together, (k, k), truth in rows; None where no run has them."""
        k = len(self.labels())
        counts = [found for run in self.runs if (found := _counts(run, k)) is not None]
        return np.sum(counts, axis=0) if counts else None

    def recalls(self, label: str) -> list[float]:
        """Return the recall of one label in each run that has it."""
        found = []
        for run in self.runs:
            row = run.look_up("scores.per_class")
            row = row.get(label) if isinstance(row, dict) else None
            value = finite(row.get("recall")) if isinstance(row, dict) else None
            if value is not None:
                found.append(value)
        return found


def group_runs(runs: Iterable[Run]) -> tuple[Group, ...]:
    """Put runs together that differ only by seed or fold, in the order of the first of each."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        size = (run.text("recipe.schedule.epochs"), run.text("recipe.network.input_size"))
        groups.setdefault((*Group((run,)).key, *size, *describe_changes(run.record)), []).append(run)
    return tuple(Group(tuple(members)) for members in groups.values())


def percent(value: float) -> str:
    """Return a share as "69.71"."""
    return f"{100 * value:.2f}"


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return the mean of shares in percent, with the sample deviation where there are two or more."""
    if not values:
        return NONE
    mean = percent(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} {PLUS_MINUS} {percent(statistics.stdev(values))}"


def signed(value: float) -> str:
    """Return a number with its sign and two decimals."""
    return f"{value:+.2f}".replace("-", MINUS)


def _labels(run: Run) -> tuple[str, ...]:
    names = run.look_up("scores.labels") or run.look_up("labels")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _counts(run: Run, k: int) -> NDArray[np.int64] | None:
    rows = run.look_up("scores.confusion")
    if not (isinstance(rows, list) and len(rows) == k > 0):
        return None
    if not all(isinstance(row, list) and len(row) == k for row in rows):
        return None
    if not all(type(count) is int and 0 <= count < 2**40 for row in rows for count in row):
        return None
    return np.array(rows, dtype=np.int64)
