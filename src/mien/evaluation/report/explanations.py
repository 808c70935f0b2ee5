"""The measurements of a run's explanation maps: a table of all methods, and their deletion and insertion curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.core import dotted
from mien.core.dotted import finite
from mien.evaluation.report.drawing import COLOURS, new_figure, set_percent, to_markup
from mien.evaluation.report.groups import MINUS, NONE, Group, number, percent
from mien.evaluation.report.markup import NOTHING, Markup, element, join, table
from mien.evaluation.report.runs import look_up

KINDS = (("deletion", "removed", "to"), ("insertion", "restored", "from"))
# The maps of these two need no network: they have the last two colours, and dashes.
BASELINES = {"random": 7, "centre": 6}
# The parts of the face that show expressions.
INNER = ("eyes", "brows", "nose", "mouth")
HEADINGS = ("map", "layer", "deletion area", f"{MINUS} random", "insertion area", f"{MINUS} random",
            "eyes, brows, nose, mouth", "outside the face", "one-pixel shift", "randomized network")  # fmt: skip
Record = Mapping[str, Any]


def explanation_section(group: Group) -> Markup:
    """Return what `mien faithfulness` measured of a group: for each data set, from the first run that has it."""
    found: dict[str, Record] = {}
    for run in group.runs:
        for name, record in dotted.group(run.record, "explanations").items():
            if isinstance(record, Mapping) and _methods(record, "methods"):
                found.setdefault(str(name), record)
    if not found:
        return NOTHING
    sections = (_section(f"{group.title}: {_count(record)} faces of {name}", group.title, record)
                for name, record in found.items())  # fmt: skip
    return element("div", element("h4", "Explanation maps"), *sections)


def _section(faces: str, title: str, record: Record) -> Markup:
    methods = {**_methods(record, "baselines"), **_methods(record, "methods")}
    outside = finite(look_up(record, "regions.area.outside"))
    area = "" if outside is None else f" ({percent(outside, 0)} % of the pixels are outside the face)"
    caption = (
        f"{faces}, maps of the predicted label. Deletion: small is good; insertion: large is good; both are areas in % "
        "under the probability's curve, with the mean difference to a random map of the same faces. Shares of the "
        f"evidence in %{area}. One-pixel shift: correlation with the map of the shifted face. Randomized network: rank "
        "correlation with the map after all weights were shuffled; a map that stays near 1 shows the image and not the "
        "network."
    )
    charts = (_curves(title, record, methods, *kind) for kind in KINDS)
    rows = [_row(name, method) for name, method in methods.items()]
    return join([table(caption, HEADINGS, rows, range(2, 10)), element("div", *charts, class_="figures")])


def _row(name: str, method: Record) -> tuple[str, ...]:
    def read(path: str) -> float | None:
        return finite(look_up(method, path))

    inner = [value for part in INNER if (value := read(f"regions.{part}")) is not None]
    stops = look_up(method, "sanity.stops")
    last = stops[-1] if isinstance(stops, list) and stops else None
    curves = ((read(f"{kind}.area"), read(f"{kind}.minus_random")) for kind, _, _ in KINDS)
    return (
        name,
        str(method.get("layer") or NONE),
        *(cell for area, gain in curves for cell in (percent(area, 1), percent(gain, 1, is_signed=True))),
        percent(sum(inner) if inner else None, 1),
        percent(read("regions.outside"), 1),
        number(read("stability.correlation")),
        number(finite(look_up(last, "spearman"))),
    )


def _curves(  # noqa: PLR0913, PLR0917 - `KINDS` fills three
    title: str, record: Record, methods: Mapping[str, Record], kind: str, action: str, end: str
) -> Markup:
    pixels = _shares(record.get("shares"))
    if len(pixels) < 2:
        return NOTHING
    figure, axes = new_figure()
    set_percent(axes.xaxis)
    set_percent(axes.yaxis)
    axes.set(xlabel=f"share of the pixels {action}", ylabel="probability of the label")
    for i, (name, method) in enumerate(methods.items()):
        values = _shares(look_up(method, f"{kind}.curve"))
        if len(values) == len(pixels):
            colour = COLOURS[BASELINES.get(name, (i - len(BASELINES)) % 6)]
            label = f"{name} (baseline)" if name in BASELINES else name
            axes.plot(pixels, values, "--" if name in BASELINES else "-", color=colour, label=label)
    axes.legend(fontsize="small")
    words = f"{kind.capitalize()} {end} {record.get(f'{kind}_{end}')}: mean over {_count(record)} faces"
    caption = f"{words}, most important pixels first."
    return to_markup(figure, f"{kind.capitalize()} curves of {title}", caption)


def _methods(record: Record, name: str) -> dict[str, Record]:
    """Return a record's methods or baselines by name; broken ones are left out."""
    return {str(key): value for key, value in dotted.group(record, name).items() if isinstance(value, dict)}


def _shares(values: object) -> list[float]:
    """Return values if all are in [0, 1], else nothing."""
    numbers = [finite(value) for value in values] if isinstance(values, list) else []
    shares = [value for value in numbers if value is not None and 0 <= value <= 1]
    return shares if len(shares) == len(numbers) else []


def _count(record: Record) -> str:
    n = finite(record.get("n"))
    return f"{n:,.0f}" if n is not None else "some"
