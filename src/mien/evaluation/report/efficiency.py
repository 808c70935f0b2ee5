"""What runs cost: parameters, multiply-accumulates, latency, memory, and SPAYOLO's plane of quality over size."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mien.evaluation.report.groups import NONE, Group
from mien.evaluation.report.markup import Markup, table
from mien.evaluation.report.measurements import Footprint, Key
from mien.evaluation.report.plot import SHAPES, Axis, Plot
from mien.evaluation.report.runs import Run
from mien.recipes.departures import read_settings

# SPAYOLO, the part on model efficiency, and Fig. 5: the plane's origin, in parameters and in % accuracy on FER2013.
ORIGIN_PARAMETERS = 30e6
ORIGIN_ACCURACY = 70.74
QUADRANTS = (("I OER", True, True), ("II", False, True), ("III UER", False, False), ("IV UAR", True, False))
# Colour and shape of the two kinds of points.
REPORTED, OURS = (7, SHAPES[2]), (1, SHAPES[3])
CONTRADICTION = (
    "The PQS-FP plane of SPAYOLO's Fig. 5: to the right what a model has more than 30 M parameters, upwards what its"
    " accuracy on FER2013 has more than 70.74 %. Quadrants bear the paper's names where its axes put them: I OER"
    " (overfitting, redundant), III UER (capacity not used), IV UAR (less complex and better). The paper contradicts"
    " itself: it counts its own model, on the left half of the horizontal axis, as IV, puts two models that lie in IV"
    " by the axes into I and III, and the caption of its figure gives the axes another meaning. No conclusion is drawn"
    " from the plane here."
)


@dataclass(frozen=True)
class PlanePoint:
    """A model in the plane: parameters, and accuracy on FER2013 in percent."""

    name: str
    parameters: float
    accuracy: float


def efficiency_table(groups: Sequence[Group], footprints: Mapping[Key, Footprint]) -> Markup:
    """Return parameters, MACs, latency ratio, peak memory and training time of each group, then of other models.

    Args:
        groups: The groups, one row each.
        footprints: By model name and input; those that fit no group have a row each. Ablations have the name of their
            recipe and so none.
    """
    headings = ("run", "input (C x H x W)", "parameters", "MACs", "ResNet-18 / own latency",
                "peak memory, MiB (ResNet-18 / own)", "training, minutes")  # fmt: skip
    keys = [("" if group.ablation else group.name, input_shape(group.first)) for group in groups]
    rows = [_cost_row(group, footprints.get(key, Footprint())) for group, key in zip(groups, keys, strict=True)]
    for (name, shape), footprint in footprints.items():
        if (name, shape) not in keys:
            rows.append((f"{name}, no run here", _shape(shape), NONE, NONE, *_footprint(footprint), NONE))
    caption = (
        "Efficiency. Parameters are those in training. MACs: convolutions and linear layers of one image of the named"
        " input, after folding. Peak memory: loading the network and scoring one face, above numpy and onnxruntime"
        " themselves. Minutes depend on the hardware above."
    )
    return table(caption, headings, rows, range(2, 7))


def input_shape(run: Run) -> tuple[int, ...]:
    """Return the network's input as (channels, height, width); empty where the record does not say."""
    size, channels = run.number("recipe.network.input_size"), run.number("recipe.network.channels")
    return () if size is None or channels is None else (int(channels), int(size), int(size))


def own_points(groups: Sequence[Group]) -> list[PlanePoint]:
    """Return the groups on FER2013 as points of the plane, by the mean of their accuracies."""
    points = []
    for group in groups:
        parameters = group.first.number("parameters")
        if group.dataset == "fer2013" and group.accuracies and parameters is not None:
            settings = read_settings(group.first.record)
            name = f"{group.title}, shortened" if settings and settings.shortened else group.title
            points.append(PlanePoint(name, parameters, 100 * statistics.fmean(group.accuracies)))
    return points


def quality_plane(reported: Sequence[PlanePoint], ours: Sequence[PlanePoint]) -> Markup:
    """Draw the PQS-FP plane with numbered points and say, in a table below, which is which."""
    points = [*reported, *ours]
    if not points:
        return Markup("")
    places = [((p.parameters - ORIGIN_PARAMETERS) / 1e6, p.accuracy - ORIGIN_ACCURACY) for p in points]
    x = Axis.over([-35.0, 10.0, *(px for px, _ in places)], "parameters \N{MINUS SIGN} 30 M", " M")
    y = Axis.over([-3.0, 3.0, *(py for _, py in places)], "accuracy \N{MINUS SIGN} 70.74, points")
    plot = Plot(x, y, "PQS-FP plane: accuracy over parameters", width=560, height=380)
    plot.line([(0, y.low), (0, y.high)], 7, "line thin")
    plot.line([(x.low, 0), (x.high, 0)], 7, "line thin")
    for name, is_right, is_top in QUADRANTS:
        corner = (x.high if is_right else x.low, y.high if is_top else y.low)
        at = (corner[0] * 0.97, corner[1])
        plot.text(at, name, "end" if is_right else "start", 16 if is_top else -8)
    for i, place in enumerate(places):
        plot.marks([place], *(REPORTED if i < len(reported) else OURS))
        plot.text(place, str(i + 1), "start", -6)
    plot.name("reported", *REPORTED)
    plot.name("ours", *OURS)
    rows = [_point_row(i, p, place, i < len(reported)) for i, (p, place) in enumerate(zip(points, places, strict=True))]
    headings = ("model", "no.", "whose figure", "parameters, M", "accuracy, %", "quadrant by the axes")
    names = table("The points of the plane", headings, rows, (1, 3, 4))
    return Markup(plot.draw(CONTRADICTION) + names)


def quadrant(x: float, y: float) -> str:
    """Return the name of the quadrant a point lies in, or that it lies on an axis."""
    if x == 0 or y == 0:
        return "on an axis"
    return next(name for name, is_right, is_top in QUADRANTS if (x > 0, y > 0) == (is_right, is_top))


def _cost_row(group: Group, footprint: Footprint) -> tuple[str, ...]:
    run = group.first
    parameters, macs = run.number("parameters"), run.number("macs")
    minutes = [value for one in group.runs if (value := one.number("minutes")) is not None]
    return (
        group.title,
        _shape(input_shape(run)),
        NONE if parameters is None else f"{parameters:,.0f}",
        NONE if not macs else f"{macs / 1e6:,.1f} M",
        *_footprint(footprint),
        f"{statistics.fmean(minutes):.1f}" if minutes else NONE,
    )


def _shape(sides: tuple[int, ...]) -> str:
    return "\N{NO-BREAK SPACE}x\N{NO-BREAK SPACE}".join(map(str, sides)) or NONE


def _footprint(footprint: Footprint) -> tuple[str, str]:
    """Return the latency ratio, and the peak memory with its ratio in brackets."""
    faster, memory, smaller = footprint.latency_ratio, footprint.memory_mib, footprint.memory_ratio
    ratio = "" if smaller is None else f" ({smaller:.1f})"
    return NONE if faster is None else f"{faster:.1f}", NONE if memory is None else f"{memory:.1f}{ratio}"


def _point_row(i: int, point: PlanePoint, place: tuple[float, float], is_reported: bool) -> tuple[str, ...]:
    return (
        point.name,
        str(i + 1),
        "reported" if is_reported else "ours",
        f"{point.parameters / 1e6:.2f}",
        f"{point.accuracy:.2f}",
        quadrant(round(place[0], 6), round(place[1], 6)),
    )
