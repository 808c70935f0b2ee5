"""Runs that differ only by seed or fold, and their scores together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.dotted import group
from mien.evaluation.report.markup import clean
from mien.evaluation.report.runs import Run, look_up
from mien.recipes.departures import describe_changes, describe_protocol
from mien.recipes.record import name_hardware

NONE = "\N{EN DASH}"
MINUS, PLUS_MINUS = "\N{MINUS SIGN}", "\N{PLUS-MINUS SIGN}"


@dataclass(frozen=True)
class Group:
    """One or more runs of one recipe, ablation, data set and protocol, in the order of their folders."""

    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The first run by folder, for what all have in common."""
        return self.runs[0]

    @property
    def name(self) -> str:
        """The record's name."""
        return self.first.text("name")

    @property
    def ablation(self) -> str:
        """The applied ablation; "" for the recipe itself."""
        return self.first.text("recipe.ablation")

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.first.text("recipe.data.dataset")

    @property
    def title(self) -> str:
        """Name, and ablation if there is one."""
        return self.name + (f", {self.ablation}" if self.ablation else "")

    @property
    def key(self) -> tuple[str, ...]:
        """What the runs have in common, apart from their size and settings."""
        return (self.name, self.ablation, self.dataset, self.protocol, self.selection)

    @property
    def protocol(self) -> str:
        """How the data were split, and which part was scored."""
        return describe_protocol(self.first.record)

    @property
    def selection(self) -> str:
        """How the weights were chosen."""
        return self.first.text("scores.selection.rule") or self.first.text("selection.rule") or "unknown"

    @property
    def hardware(self) -> str:
        """Accelerators, or processors where there was none."""
        return "; ".join(sorted({name_hardware(group(run.record, "hardware")) or "unknown" for run in self.runs}))

    @property
    def epochs(self) -> str:
        """Completed epochs, the planned number if it differs, and whether a run was stopped early."""
        done = sorted({len(run.record["curves"]) for run in self.runs})
        planned = self.first.number("recipe.schedule.epochs")
        words = str(done[0]) if len(done) == 1 else f"{done[0]} to {done[-1]}"
        words += "" if planned is None or done == [planned] else f" of {planned:g}"
        return words + (", unfinished" if any(run.record.get("finished") is False for run in self.runs) else "")

    def scores(self, key: str) -> list[float]:
        """Return one score, a share in [0, 1], of each run that has it."""
        found = (run.number(f"scores.{key}") for run in self.runs)
        return [value for value in found if value is not None]

    def labels(self) -> tuple[str, ...]:
        """Return the labels in their order; empty if the runs do not agree."""
        found = [look_up(run.record, "scores.labels") or run.record.get("labels") for run in self.runs]
        if not isinstance(found[0], list) or any(names != found[0] for names in found):
            return ()
        return tuple(clean(str(name)) for name in found[0])

    def confusion(self) -> NDArray[np.int64] | None:
        """Return the counts of all runs together, (k, k), truth in rows; None if no run has them."""
        k = len(self.labels())
        counts = [found for run in self.runs if (found := _counts(run, k)) is not None]
        return np.sum(counts, axis=0) if counts else None


def group_runs(runs: Iterable[Run]) -> tuple[Group, ...]:
    """Group runs that differ only by seed or fold, in the order of the first of each group."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        size = (run.text("recipe.schedule.epochs"), run.text("recipe.network.input_size"))
        groups.setdefault((*Group((run,)).key, *size, *describe_changes(run.record)), []).append(run)
    return tuple(Group(tuple(members)) for members in groups.values())


def percent(value: float | None, digits: int = 2, *, is_signed: bool = False) -> str:
    """Return a share in percent without its unit, "69.71"; a dash for None."""
    return number(None if value is None else 100 * value, digits, is_signed=is_signed)


def number(value: float | None, digits: int = 2, *, is_signed: bool = False) -> str:
    """Return a number with this many decimals; a dash for None."""
    return NONE if value is None else f"{value:{'+' if is_signed else ''}.{digits}f}".replace("-", MINUS)


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return the mean of shares in percent, with the sample deviation if there are two or more."""
    if not values:
        return NONE
    mean = percent(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} {PLUS_MINUS} {percent(statistics.stdev(values))}"


def _counts(run: Run, k: int) -> NDArray[np.int64] | None:
    try:
        counts = np.array(look_up(run.record, "scores.confusion"))
    except ValueError:  # rows of different length
        return None
    return counts if counts.shape == (k, k) and counts.dtype.kind == "i" and k and counts.min() >= 0 else None
