"""Reported and ours: the papers' figures joined with run records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any

from mien.core.dotted import finite, group
from mien.evaluation.plateau import plateau_epoch
from mien.evaluation.reported import ReportedFigure
from mien.recipes.departures import Record, RunSettings, read_settings
from mien.recipes.record import name_hardware

# Only available from their authors on request; CK+ is public as crops of 48 pixels.
LICENCE_GATED = frozenset({"rafdb", "affectnet7", "affectnet8", "jaffe"})
# Metrics of the network itself, whatever its training and data.
UNTRAINED = frozenset(
    {"parameters", "added_parameters", "gflops", "epoch_seconds", "latency_ms", "memory_mb", "step_ms"}
)

SIZES = frozenset({"parameters", "added_parameters", "gflops"})


@dataclass(frozen=True)
class Cost:
    """What a network costs, measured: values by metric, how each was measured, and where."""

    values: Mapping[str, float]
    remarks: Mapping[str, str]
    hardware: str


NO_COSTS: Mapping[tuple[str, str], Cost] = MappingProxyType({})


@dataclass(frozen=True)
class Row:
    """A reported figure and ours.

    Attributes:
        figure: What the paper prints.
        ours: Mean over our runs in the unit of `figure.value`; None if not measured.
        deviation: Sample standard deviation over the runs; None if there are fewer than two.
        n: Number of runs.
        difference: `ours - figure.value`; None if not measured, or not comparable because the runs are shortened.
        remark: Why there are no runs ("not run", "not run: licence-gated", ...), or how they were shortened or differ
            from the recipe; "" if they follow the recipe.
        protocol, selection, hardware: Those of our runs; "" without any.
        seeds: The seeds of our runs, in ascending order.
        runs: The names of our runs.
    """

    figure: ReportedFigure
    ours: float | None = None
    deviation: float | None = None
    n: int = 0
    difference: float | None = None
    remark: str = ""
    protocol: str = ""
    selection: str = ""
    hardware: str = ""
    seeds: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()

    @property
    def is_shortened(self) -> bool:
        """Whether our runs had fewer epochs or smaller images than the recipe."""
        return self.remark.startswith("shortened")


def compare_reported(
    reported: Iterable[ReportedFigure], records: Iterable[Record], costs: Mapping[tuple[str, str], Cost] = NO_COSTS
) -> tuple[Row, ...]:
    """Join reported figures with run records.

    Runs of one recipe and ablation are averaged if they differ only by seed, fold and machine. A figure with several
    such groups of runs (two protocols, whole and shortened runs) has a row for each.

    Args:
        reported: Figures, in the order of the rows.
        records: Run records as read from JSON. Those without scores, or of a recipe that mien does not ship, are
            ignored.
        costs: What networks cost, measured without runs, for the metrics in `UNTRAINED`: by the paper and the ablation
            of a recipe, or by "" and the row of another method.

    Returns:
        One row or more per figure; whole runs before shortened ones.
    """
    groups: dict[RunSettings, list[Record]] = defaultdict(list)
    for record in records:
        settings = read_settings(record)
        if settings is not None:
            groups[settings].append(record)
    ordered = sorted(groups.items(), key=lambda item: (bool(item[0].shortened), item[0].remark, item[0].protocol))
    rows = []
    for figure in reported:
        place = (figure.recipe, figure.ablation)
        own = [_row(figure, *item) for item in ordered if (item[0].recipe, item[0].ablation) == place]
        if figure.metric in UNTRAINED and all(row.ours is None for row in own):
            own = _cost_rows(figure, costs) or own
        rows += own or [Row(figure, remark=_why_not_run(figure))]
    return tuple(rows)


def measure(record: Record, metric: str) -> float | None:
    """Return a metric of a run in the unit of the reported figures; None if the record lacks it."""
    scores = group(record, "scores")
    kind, _, label = metric.partition(":")
    if kind in {"accuracy", "mean_class_accuracy"}:
        return _percent(scores.get(kind))
    if kind == "f1":
        return finite(scores.get("macro_f1"))
    if kind == "recall":
        return _percent(group(group(scores, "per_class"), label).get("recall"))
    if kind == "parameters":
        return finite(record.get("parameters"))
    if kind == "top5":
        return _percent(scores.get("top5"))
    return _measure_curve(record, kind)


def _measure_curve(record: Record, kind: str) -> float | None:
    """Return what a run's curves say: the epoch selected, the loss of the last epoch, or where the plateau begins."""
    if kind == "best_epoch":
        epoch = finite(group(record, "selection").get("epoch"))
        return None if epoch is None else epoch + 1
    curves = record.get("curves")
    points = [point for point in curves if isinstance(point, Mapping)] if isinstance(curves, list) else []
    if kind == "final_loss" and points:
        return finite(points[-1].get("train_loss"))
    if kind == "plateau_epoch":
        values = [finite(point.get("validation_accuracy")) for point in points]
        return plateau_epoch([value for value in values if value is not None])
    return None


def _row(figure: ReportedFigure, settings: RunSettings, records: list[Record]) -> Row:
    found = [(value, record) for record in records if (value := measure(record, figure.metric)) is not None]
    if not found:
        return Row(figure, remark="not measured")
    values, used = [value for value, _ in found], [record for _, record in found]
    trainings = (group(group(record, "recipe"), "training") for record in used)
    ours = fmean(values)
    is_comparable = not settings.shortened or figure.metric in UNTRAINED
    return Row(
        figure,
        ours=ours,
        deviation=stdev(values) if len(values) > 1 else None,
        n=len(values),
        difference=ours - figure.value if is_comparable else None,
        remark=settings.remark,
        protocol=settings.protocol,
        selection=settings.selection,
        hardware=", ".join(sorted({name_hardware(group(record, "hardware")) for record in used} - {""})),
        seeds=tuple(sorted(int(finite(training.get("seed")) or 0) for training in trainings)),
        runs=tuple(sorted({str(record.get("name", "")) for record in used})),
    )


def _cost_rows(figure: ReportedFigure, costs: Mapping[tuple[str, str], Cost]) -> list[Row]:
    """Return the row of a measured cost; none if it was not measured."""
    key = (figure.paper, figure.ablation) if figure.recipe else ("", figure.row)
    cost = costs.get(key)
    if cost is None or figure.metric not in cost.values:
        return []
    ours = cost.values[figure.metric]
    # times and memory are those of another machine
    difference = ours - figure.value if figure.metric in SIZES else None
    hardware = "" if figure.metric in SIZES else cost.hardware
    return [
        Row(figure, ours=ours, difference=difference, remark=cost.remarks.get(figure.metric, ""), hardware=hardware)
    ]


def _why_not_run(figure: ReportedFigure) -> str:
    if figure.is_of_one_image:
        return "not run: the images are not published"
    if not figure.recipe:
        return "another method"
    if figure.metric in UNTRAINED:
        return "not measured"
    dataset = figure.dataset or figure.recipe.partition("/")[2]
    return "not run: licence-gated" if dataset in LICENCE_GATED else "not run"


def _percent(value: Any) -> float | None:
    share = finite(value)
    return None if share is None else 100 * share
