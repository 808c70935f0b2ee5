"""Robustness records as panels: how much of the accuracy is kept under each corruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.core.dotted import finite
from mien.evaluation.report.figures import robustness_panels
from mien.evaluation.report.markup import NOTHING, Markup, element


def robustness_figure(record: Mapping[str, Any]) -> Markup:
    """Return the panels of one record that `mien robustness` wrote; nothing where it holds no curve.

    Args:
        record: The file's content; of a curve, points without a finite `severity` and `kept` are left out.
    """
    corruptions = record.get("corruptions")
    curves = {}
    for name, curve in corruptions.items() if isinstance(corruptions, dict) else ():
        points = _points(curve)
        if points:
            curves[str(name).replace("_", " ")] = points
    if not curves:
        return Markup("")
    clean = record.get("clean")
    accuracy = finite(clean.get("accuracy")) if isinstance(clean, dict) else None
    kept = finite(record.get("kept"))
    name = str(record.get("model", "the model"))
    said = f"{name} on {record.get('dataset', 'unnamed data')}, {record.get('split', 'split not named')}."
    if accuracy is not None:
        said += f" Accuracy on clean pictures: {100 * accuracy:.2f} %; the curves are shares of it."
    if kept is not None:
        said += f" Mean over all corruptions and severities: {100 * kept:.1f} % kept."
    heading = element("h4", NOTHING, "Robustness")
    words = element("p", {"class": "soft"}, said)
    return element("div", NOTHING, heading, words, robustness_panels(name, curves))


def _points(curve: object) -> list[tuple[float, float]]:
    points = curve.get("points") if isinstance(curve, dict) else None
    found = []
    for point in points if isinstance(points, list) else ():
        if isinstance(point, dict):
            severity, kept = finite(point.get("severity")), finite(point.get("kept"))
            if severity is not None and kept is not None and severity > 0 and kept >= 0:
                found.append((severity, kept))
    return sorted(found)
