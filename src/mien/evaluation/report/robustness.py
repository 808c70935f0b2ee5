"""The accuracy under each corruption as a figure, for the report and for `mien robustness --figure`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from mien.evaluation.report.drawing import COLOURS, INK, to_markup
from mien.evaluation.report.groups import percent
from mien.evaluation.report.markup import NOTHING, Markup, element

COLUMNS = 4


def robustness_section(measured: Mapping[str, Any]) -> Markup:
    """Return the section on one record of `mien robustness`; nothing if it is not one."""
    try:
        name = f"{measured['model']} on {measured['dataset']}, {measured['split']}"
        clean, kept = percent(measured["clean"]["accuracy"]), percent(measured["kept"], 1)
        caption = f"{name}. Dotted: clean images, {clean} %. Mean over corruptions and severities: {kept} % of it kept."
        drawing = to_markup(robustness_figure(measured), f"Accuracy of {name} on corrupted images", caption)
    except (KeyError, TypeError, ValueError, AttributeError):  # of another kind or version
        return NOTHING
    return element("div", element("h4", "Robustness"), drawing, class_="wide")


def robustness_figure(measured: Mapping[str, Any]) -> Figure:
    """Draw accuracy against severity, one panel per corruption; call this in the context of `STYLE`."""
    curves = measured["corruptions"]
    columns = max(1, min(COLUMNS, len(curves)))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(2.6 * columns + 0.6, 2.1 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        points = [(p["severity"], 100 * p["accuracy"]) for p in (measured["clean"], *curve["points"])]
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[0])
        axes.axhline(points[0][1], linewidth=0.8, linestyle=":", color=INK)
        axes.set_title(f"{name.replace('_', ' ')}: {percent(curve['kept'], 1)} % kept", fontsize="medium")
        axes.set(ylim=(0, 100), xticks=[severity for severity, _ in points])
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    figure.supxlabel("severity (0: clean)", fontsize="medium")
    figure.supylabel("accuracy, %", fontsize="medium")
    return figure
