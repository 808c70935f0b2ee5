"""What habits of scoring are worth on our own networks: the measured section of docs/protocol-audit.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lab.intervals import Counted, Estimate, effect_of_part, mean_over_runs
from lab.markdown import make_table, percent
from mien.core.dotted import flatten, group
from mien.core.errors import DataError
from mien.evaluation.proportions import wilson_interval
from mien.recipes.departures import Record

START = "<!-- written by `python -m lab pages` from here -->"
END = "<!-- to here -->"
MIN_EPOCHS = 10
LAST = 5
# Runs are also shown by length, because a short run still rises when it ends.
LENGTHS = ((10, 19), (20, 49), (50, 10_000))
NOT_MEASURED = "not measured"


class Gain(NamedTuple):
    """One run's best validation accuracy, minus that of its last epoch and minus the mean of its last five."""

    epochs: int
    over_last: float
    over_last_five: float


def insert_practices(page: str, runs: Sequence[Record], measured: Mapping[str, Any]) -> str:
    """Return the page with the lines between its two marks replaced.

    Args:
        page: The page's text.
        runs: The run records, with the one that ships.
        measured: The record `practices`; empty if there is none.

    Raises:
        DataError: The page lacks a mark.
    """
    head, start, rest = page.partition(START)
    _, end, tail = rest.partition(END)
    if not start or not end:
        raise DataError(f"The page on protocols needs the lines '{START}' and '{END}', in this order; restore them.")
    return "\n".join([head + start, "", *make_practices(runs, measured), end + tail])


def make_practices(runs: Sequence[Record], measured: Mapping[str, Any]) -> list[str]:
    """Return the tables, each line of the page as one text."""
    scored = [run for run in runs if _is_of_public_test(run)]
    gains = [gain for run in scored if (gain := read_gain(run))]
    networks = measured.get("networks", [])
    rows = [
        *_selection_rows(gains),
        *_view_rows(networks),
        *_duplicate_rows(scored),
        *_vote_rows(group(measured, "ferplus")),
        ["PublicTest or PrivateTest as the test", NOT_MEASURED, "needs PrivateTest, which is not used here"],
        ["pre-training on other data; ensembles", NOT_MEASURED, "no committed record"],
    ]
    header = ["practice", "worth in points of accuracy (95 % interval)", "measured on"]
    return [*make_table(header, rows), *_selection_by_length(gains), *_views_by_network(networks)]


def read_gain(run: Record) -> Gain | None:
    """Return what choosing the best epoch gains in a run; None if it is shorter than ten epochs."""
    curve = [epoch["validation_accuracy"] for epoch in run["curves"] if "validation_accuracy" in epoch]
    if len(curve) < MIN_EPOCHS:
        return None
    best = max(curve)
    return Gain(len(curve), best - curve[-1], best - sum(curve[-LAST:]) / LAST)


def read_duplicates(run: Record) -> tuple[Counted, Counted] | None:
    """Return the counts for the images with and without a duplicate in Training; None if they are not recorded."""
    flat = flatten(group(run, "scores"))
    keys = ("n", "accuracy", "without_duplicates.n", "without_duplicates.accuracy")
    n, share, rest_n, rest_share = (flat.get(key) for key in keys)
    if not n or share is None or not rest_n or rest_share is None or n == rest_n:
        return None
    rest = Counted(round(rest_share * rest_n), rest_n)
    return Counted(round(share * n) - rest.right, n - rest_n), rest


def show(estimate: Estimate) -> str:
    """Return a difference in points with its interval: "+0.70 (+0.14 to +1.24)"."""
    value, low, high = (f"{100 * number:+.2f}" for number in estimate)
    return f"{value} ({low} to {high})"


def _is_of_public_test(run: Record) -> bool:
    """Whether a run was scored on the official PublicTest of FER2013 as a classifier."""
    flat = flatten(run)
    is_official = flat.get("data.protocol.name", "official") == "official"
    is_scored = flat.get("scores.split") == "validation" and flat.get("scores.accuracy") is not None
    return flat.get("recipe.data.dataset") == "fer2013" and is_official and is_scored


def _selection_rows(gains: Sequence[Gain]) -> list[list[str]]:
    rows = []
    for name, values in (
        ("choosing the best epoch on the scored images, instead of the last", [gain.over_last for gain in gains]),
        (f"the same, instead of the mean of the last {LAST} epochs", [gain.over_last_five for gain in gains]),
    ):
        if not values:
            rows.append([name, NOT_MEASURED, "no committed run"])
            continue
        extent = f"from {100 * min(values):.2f} to {100 * max(values):.2f}"
        runs = f"{len(values)} run{'s' * (len(values) > 1)} of at least {MIN_EPOCHS} epochs"
        on = f"{runs}, single runs {extent}; interval over runs"
        rows.append([name, show(mean_over_runs(values)), on])
    if gains:
        rows[-1][-1] += "; short runs still rise at their end, see below"
    return rows


def _view_rows(networks: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    names = {
        ("one", "flip"): "averaging the face and its mirror image, instead of one view",
        ("one", "ten-crop"): "ten crops, instead of one view",
        ("flip", "ten-crop"): "ten crops, instead of face and mirror image",
    }
    if not networks:
        return [[name, NOT_MEASURED, "no committed record"] for name in names.values()]
    first = networks[0]
    on = f"`{first['model']}`, {first['n']:,} images; paired bootstrap over images"
    return [[names[pair], show(_estimate(first, pair)), on] for pair in names]


def _estimate(network: Mapping[str, Any], pair: tuple[str, str]) -> Estimate:
    (found,) = (row for row in network["differences"] if (row["from"], row["to"]) == pair)
    return Estimate(found["accuracy"], *found["interval"])


def _duplicate_rows(scored: Sequence[Record]) -> list[list[str]]:
    counted = [(run, counts) for run in scored if (counts := read_duplicates(run))]
    name = "scoring the images that are also in Training"
    if not counted:
        return [[name, NOT_MEASURED, "no committed run"]]
    run, (part, rest) = max(counted, key=lambda pair: pair[0]["scores"]["accuracy"])
    on = (
        f"`{run['name']}`: {percent(part.share, 1)} of {part.n} duplicates correct ({_bounds(part)}), "
        f"{percent(rest.share, 1)} of the other {rest.n:,} ({_bounds(rest)}); Newcombe's interval"
    )
    rows = [[name, show(effect_of_part(part, rest)), on]]
    if len(counted) > 1:
        effects = [effect_of_part(*counts).value for _, counts in counted]
        extent = f"single runs from {100 * min(effects):.2f} to {100 * max(effects):.2f}"
        rows.append(["the same", show(mean_over_runs(effects)), f"{len(effects)} runs, {extent}; interval over runs"])
    return rows


def _bounds(counted: Counted) -> str:
    low, high = wilson_interval(counted.share, counted.n)
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _vote_rows(votes: Mapping[str, Any]) -> list[list[str]]:
    name = "FER+: the most frequent vote of every image, instead of the official majority rule"
    if not votes:
        return [[name, NOT_MEASURED, "no committed record"]]
    official, added = (Counted(votes[key]["right"], votes[key]["n"]) for key in ("official", "added"))
    on = (
        f"`{votes['model']}`: {percent(official.share, 1)} of the {official.n:,} images that the rule keeps "
        f"({_bounds(official)}), {percent(added.share, 1)} of the {added.n} that it drops ({_bounds(added)}), contempt "
        "left out; Newcombe's interval"
    )
    return [[name, show(effect_of_part(added, official)), on]]


def _selection_by_length(gains: Sequence[Gain]) -> list[str]:
    rows = []
    for shortest, longest in LENGTHS:
        members = [gain for gain in gains if shortest <= gain.epochs <= longest]
        if members:
            over = ([gain.over_last for gain in members], [gain.over_last_five for gain in members])
            ends = dict.fromkeys(find(gain.epochs for gain in members) for find in (min, max))
            name = " to ".join(map(str, ends))
            rows.append([name, str(len(members)), *(show(mean_over_runs(values)) for values in over)])
    header = ["epochs", "runs", "best - last", f"best - mean of the last {LAST}"]
    return ["Choosing the epoch, by the length of the run:", "", *make_table(header, rows)] if rows else []


def _views_by_network(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    pairs = (("one", "flip"), ("flip", "ten-crop"))
    rows = [
        [
            f"`{network['model']}`",
            *(percent(network["right"][views] / network["n"]) for views in ("one", "flip", "ten-crop")),
            *(show(_estimate(network, pair)) for pair in pairs),
        ]
        for network in networks
    ]
    header = ["network", "one view", "flip", "ten crops", "flip - one", "ten crops - flip"]
    return ["Views, by network:", "", *make_table(header, rows)] if rows else []
