"""The cost of runs: parameters, multiply-accumulates, latency, memory, and SPAYOLO's plane of accuracy and size."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mien.evaluation.report.drawing import COLOURS, INK, new_figure, to_markup
from mien.evaluation.report.groups import MINUS, NONE, Group, number
from mien.evaluation.report.markup import NOTHING, Markup, join, table
from mien.evaluation.report.measurements import Footprint, Key
from mien.evaluation.report.runs import Run
from mien.recipes.departures import read_settings

# SPAYOLO, the part on model efficiency, and Fig. 5: the plane's origin, in parameters and in % accuracy on FER2013.
ORIGIN_PARAMETERS = 30e6
ORIGIN_ACCURACY = 70.74
# (is right, is top) -> the paper's name.
QUADRANTS = {(True, True): "I OER", (False, True): "II", (False, False): "III UER", (True, False): "IV UAR"}
COST_CAPTION = (
    "Efficiency. Parameters are those in training. MACs: convolutions and linear layers for one image of the given "
    "input, after folding. Peak memory: loading the network and scoring one face, above that of numpy and onnxruntime. "
    "Minutes depend on the hardware above."
)
PLANE_CAPTION = (
    "The PQS-FP plane of SPAYOLO's Fig. 5: to the right the parameters above 30 M, upwards the accuracy on FER2013 "
    "above 70.74 %. The quadrants' names are the paper's, placed by its axes: I OER (overfitting, redundant), III UER "
    "(capacity not used), IV UAR (less complex and better). The paper contradicts itself: it counts its own model, on "
    "the left half of the horizontal axis, as IV, puts two models that lie in IV by the axes into I and III, and "
    "defines the axes differently in the figure's caption. No conclusion is drawn from the plane here."
)


class PlanePoint(NamedTuple):
    """A model in the plane: parameters, and accuracy on FER2013 in percent."""

    name: str
    parameters: float
    accuracy: float

    @property
    def position(self) -> tuple[float, float]:
        """Millions of parameters and points of accuracy above the origin."""
        return (self.parameters - ORIGIN_PARAMETERS) / 1e6, self.accuracy - ORIGIN_ACCURACY

    @property
    def quadrant(self) -> str:
        """The quadrant's name, or "on an axis"."""
        x, y = (round(value, 6) for value in self.position)
        return QUADRANTS[x > 0, y > 0] if x and y else "on an axis"


def efficiency_table(groups: Sequence[Group], footprints: Mapping[Key, Footprint]) -> Markup:
    """Return parameters, MACs, latency ratio, peak memory and training time of each group, then of other models.

    Args:
        groups: One row each.
        footprints: By model name and input; those that fit no group have a row each. Ablations have the name of their
            recipe and so no footprint.
    """
    headings = ("run", "input (C x H x W)", "parameters", "MACs", "ResNet-18 / own latency",
                "peak memory, MiB (ResNet-18 / own)", "training, minutes")  # fmt: skip
    keys = [("" if group.ablation else group.name, input_shape(group.first)) for group in groups]
    rows = [_cost_row(group, footprints.get(key, {})) for group, key in zip(groups, keys, strict=True)]
    for (name, shape), footprint in footprints.items():
        if (name, shape) not in keys:
            rows.append((f"{name}, no run here", _shape(shape), NONE, NONE, *_footprint(footprint), NONE))
    return table(COST_CAPTION, headings, rows, range(2, 7))


def input_shape(run: Run) -> tuple[int, ...]:
    """Return the network's input as (channels, height, width); empty if unknown."""
    size, channels = run.number("recipe.network.input_size"), run.number("recipe.network.channels")
    return () if size is None or channels is None else (int(channels), int(size), int(size))


def own_points(groups: Sequence[Group]) -> list[PlanePoint]:
    """Return the groups on FER2013 as points of the plane, by the mean of their accuracies."""
    points = []
    for group in groups:
        parameters, accuracies = group.first.number("parameters"), group.scores("accuracy")
        if group.dataset == "fer2013" and accuracies and parameters is not None:
            settings = read_settings(group.first.record)
            name = f"{group.title}, shortened" if settings and settings.shortened else group.title
            points.append(PlanePoint(name, parameters, 100 * statistics.fmean(accuracies)))
    return points


def quality_plane(reported: Sequence[PlanePoint], ours: Sequence[PlanePoint]) -> Markup:
    """Draw the PQS-FP plane with numbered points, and a table that names them."""
    points = [*reported, *ours]
    if not points:
        return NOTHING
    figure, axes = new_figure(5.8, 4.0)
    axes.set(xlabel=f"parameters {MINUS} 30 M, millions", ylabel=f"accuracy {MINUS} 70.74, points")
    axes.axhline(0, color=INK, linewidth=1)
    axes.axvline(0, color=INK, linewidth=1)
    for (is_right, is_top), name in QUADRANTS.items():
        axes.text(
            0.98 * is_right + 0.01, 0.95 * is_top + 0.01, name, transform=axes.transAxes, ha=("left", "right")[is_right]
        )
    rows: list[tuple[str, ...]] = []
    for name, kind, marker, colour in (("reported", reported, "o", INK), ("ours", ours, "D", COLOURS[1])):
        axes.plot(*np.reshape([point.position for point in kind], (-1, 2)).T, marker, color=colour, label=name)
        for point in kind:
            figures = f"{point.parameters / 1e6:.2f}", f"{point.accuracy:.2f}"
            rows.append((point.name, str(len(rows) + 1), name, *figures, point.quadrant))
            axes.annotate(str(len(rows)), point.position, (2, 4), textcoords="offset points")
    axes.legend()
    axes.margins(0.15)
    drawing = to_markup(figure, "PQS-FP plane: accuracy over parameters", PLANE_CAPTION)
    headings = ("model", "no.", "whose figure", "parameters, M", "accuracy, %", "quadrant by the axes")
    return join((drawing, table("The points of the plane", headings, rows, (1, 3, 4))))


def _cost_row(group: Group, footprint: Footprint) -> tuple[str, ...]:
    parameters, macs = group.first.number("parameters"), group.first.number("macs")
    minutes = [value for run in group.runs if (value := run.number("minutes")) is not None]
    return (
        group.title,
        _shape(input_shape(group.first)),
        NONE if parameters is None else f"{parameters:,.0f}",
        f"{macs / 1e6:,.1f} M" if macs else NONE,
        *_footprint(footprint),
        number(statistics.fmean(minutes) if minutes else None, 1),
    )


def _shape(sides: tuple[int, ...]) -> str:
    return "\N{NO-BREAK SPACE}x\N{NO-BREAK SPACE}".join(map(str, sides)) or NONE


def _footprint(footprint: Footprint) -> tuple[str, str]:
    """Return the latency ratio, and the peak memory with its ratio in brackets."""
    mib, ratio = footprint.get("memory_mib"), footprint.get("memory_ratio")
    return number(footprint.get("latency_ratio"), 1), number(mib, 1) + ("" if ratio is None else f" ({ratio:.1f})")
