"""What was measured of a run's explanation maps: a table of all methods, and their deletion and insertion curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.core.dotted import finite
from mien.evaluation.report.groups import MINUS, NONE, Group
from mien.evaluation.report.markup import NOTHING, Markup, element, join, table
from mien.evaluation.report.plot import Axis, Plot

KINDS = ("deletion", "insertion")
# A method's curve has its place in the table for a colour; the baselines have the last two colours.
BASELINE_COLOURS = {"random": 7, "centre": 6}
METHOD_COLOURS = 6
SWATCH = "m-6-1h12v2h-12z"
# Parts of the face that expressions show in.
INNER = ("eyes", "brows", "nose", "mouth")
Record = Mapping[str, Any]


def explanation_section(group: Group) -> Markup:
    """Return what `mien faithfulness` measured of a group's runs: of each data set, the first run that has it."""
    found: dict[str, Record] = {}
    for run in group.runs:
        records = run.look_up("explanations")
        for name, record in records.items() if isinstance(records, dict) else ():
            if _parts(record, "methods"):
                found.setdefault(str(name), record)
    if not found:
        return Markup("")
    heading = element("h4", NOTHING, "Explanation maps")
    return element("div", NOTHING, heading, *(_measured(group, name, record) for name, record in found.items()))


def _measured(group: Group, name: str, record: Record) -> Markup:
    lines = {**_parts(record, "baselines"), **_parts(record, "methods")}
    headings = ("map", "layer", "deletion area", f"{MINUS} random", "insertion area", f"{MINUS} random",
                "eyes, brows, nose, mouth", "outside the face", "one-pixel shift", "randomised network")  # fmt: skip
    area = _number(record, "regions", "area", "outside")
    caption = (
        f"{group.title}: {_count(record)} faces of {name}, maps of the predicted label. Deletion: small is good; "
        f"insertion: large is good; both are areas in % under the probability's curve, with the mean difference to a "
        f"random map on the same faces. Shares of the evidence in %{_said(area)}. One-pixel shift: "
        f"correlation with the shifted face's map. Randomised network: rank correlation with the map after all weights "
        f"were shuffled; a map that stays near 1 shows the picture and not the network."
    )
    rows = [_row(key, line) for key, line in lines.items()]
    charts = [_curves(group, kind, record, lines) for kind in KINDS]
    return join(
        [table(caption, headings, rows, range(2, len(headings))), element("div", {"class": "figures"}, *charts)]
    )


def _row(name: str, line: Record) -> tuple[str, ...]:
    shares = [_number(line, "regions", part) for part in INNER]
    known = [share for share in shares if share is not None]
    stops = _dig(line, "sanity", "stops")
    last = stops[-1] if isinstance(stops, list) and stops else None
    return (
        name,
        str(line.get("layer") or NONE),
        _percent(_number(line, "deletion", "area")),
        _percent(_number(line, "deletion", "minus_random"), is_signed=True),
        _percent(_number(line, "insertion", "area")),
        _percent(_number(line, "insertion", "minus_random"), is_signed=True),
        _percent(sum(known) if known else None),
        _percent(_number(line, "regions", "outside")),
        _plain(_number(line, "stability", "correlation")),
        _plain(_number(last, "spearman")),
    )


def _curves(group: Group, kind: str, record: Record, lines: Mapping[str, Record]) -> Markup:
    shares = _numbers(record.get("shares"))
    if len(shares) < 2:
        return Markup("")
    done = "taken away" if kind == "deletion" else "brought back"
    plot = Plot(
        Axis.share(f"share of the pixels {done}"),
        Axis.share("probability of the label"),
        f"{kind.capitalize()} curves of {group.title}",
    )
    for i, (name, line) in enumerate(lines.items()):
        values = _numbers(_dig(line, kind, "curve"))
        if len(values) == len(shares):
            colour = BASELINE_COLOURS.get(name, (i - len(BASELINE_COLOURS)) % METHOD_COLOURS)
            plot.line(list(zip(shares, values, strict=True)), colour, "line d1" if name in BASELINE_COLOURS else "line")
            plot.name(f"{name} (baseline)" if name in BASELINE_COLOURS else name, colour, SWATCH)
    ends = {"deletion": ("to", record.get("deletion_to")), "insertion": ("from", record.get("insertion_from"))}[kind]
    return plot.draw(
        f"{kind.capitalize()} {ends[0]} {ends[1]}: mean over {_count(record)} faces, most important first."
    )


def _parts(record: object, name: str) -> dict[str, Record]:
    """Return the lines of a record that can be read, by name."""
    lines = record.get(name) if isinstance(record, Mapping) else None
    return {str(k): v for k, v in lines.items() if isinstance(v, dict)} if isinstance(lines, dict) else {}


def _dig(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _number(value: object, *path: str) -> float | None:
    return finite(_dig(value, *path))


def _numbers(values: object) -> list[float]:
    """Return values that are all shares in [0, 1]; nothing where one is not."""
    known = [finite(value) for value in values] if isinstance(values, list) else []
    shares = [value for value in known if value is not None and 0 <= value <= 1]
    return shares if len(shares) == len(known) else []


def _count(record: Record) -> str:
    n = finite(record.get("n"))
    return f"{n:,.0f}" if n is not None else "some"


def _said(area: float | None) -> str:
    return f" ({100 * area:.0f} % of the pixels lie outside the face)" if area is not None else ""


def _percent(value: float | None, *, is_signed: bool = False) -> str:
    if value is None:
        return NONE
    return f"{100 * value:{'+' if is_signed else ''}.1f}".replace("-", MINUS)


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}".replace("-", MINUS)
