"""The figure of the page: accuracy on crops with intervals, and the faces found in photographs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.peers.tools import OURS

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # Okabe and Ito: distinguishable by everybody, and in print


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy by tool and way, and faces found and named right, with 95 % intervals.

    Args:
        record: The record `peers`.
        path: The image to write.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    crops = [
        (name if way == "public" else f"{name} (its best way)", scored)
        for name, ways in record["parts"]["crops"].items()
        for way, scored in ways.items()
    ]
    _draw_bars(axes[0], crops, f"cropped faces: right of {crops[0][1]['n']:,}, in %")
    scenes = {name: part for name, part in record["parts"]["scenes"].items() if "error" not in part}
    n = record["parts"]["scenes"][OURS]["found"]["n"]
    _draw_bars(
        axes[1],
        [(name, part["right_of_all"]) for name, part in scenes.items()],
        f"faces in photographs: found (grey) and right of {n}, in %",
        [part["found"]["accuracy"] for part in scenes.values()],
    )
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _draw_bars(
    axes: Any, rows: list[tuple[str, Mapping[str, Any]]], title: str, behind: list[float] | None = None
) -> None:
    names = [name for name, _ in rows]
    values = [100 * part["accuracy"] for _, part in rows]
    bounds = [[100 * bound for bound in part["interval"]] for _, part in rows]
    spread = [
        [v - b[0] for v, b in zip(values, bounds, strict=True)],
        [b[1] - v for v, b in zip(values, bounds, strict=True)],
    ]
    colours = [BLUE if name.startswith(OURS) else ORANGE for name in names]
    if behind:
        axes.barh(names, [100 * share for share in behind], color=GREY, alpha=0.4)
    axes.barh(names, values, xerr=spread, color=colours, height=0.6, capsize=3)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel=title)
    axes.grid(axis="x", alpha=0.3)
