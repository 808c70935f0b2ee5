"""How a run departs from its recipe, read from its record: settings, protocol and selection rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mien.core.dotted import finite, flatten, group
from mien.data.protocols import FOLDED
from mien.recipes.loading import load_ablations, load_recipe, names
from mien.recipes.schema import NetworkSettings, Recipe

Record = Mapping[str, Any]
# Prefixes of the settings that decide the experiment; the others concern the machine, the seed, the split or the crop.
COMPARED = (
    "weights", "fit_classifier", "network.", "loss.", "optimizer.", "schedule.", "augmentation.", "corruption.",
    "distillation.", "data.ferplus_weight", "data.not_a_face_share", "data.class_balance",
    "training.batch_size", "training.ema_decay", "training.ema_ramp_steps", "training.gradient_clip",
    "training.selection", "training.patience",
)  # fmt: skip
# A run with less of these than its recipe counts as shortened, not as changed.
SHORTENED_BY = frozenset({"schedule.epochs", "network.input_size"})
# Values for the settings that did not exist when a record was written.
DEFAULTS = flatten(Recipe(name="", network=NetworkSettings(name="")).model_dump())


@dataclass(frozen=True)
class RunSettings:
    """What runs must have in common to be averaged.

    Attributes:
        recipe: The name of a shipped recipe.
        ablation: The name of one of its ablations; "" for the recipe itself.
        shortened: Where the run has less than the recipe, as "5 of 30 epochs".
        changed: Other settings that differ, each with the recipe's value in brackets.
        protocol: How the images were split, and which part was scored.
        selection: How the epoch was selected.
    """

    recipe: str
    ablation: str
    shortened: tuple[str, ...]
    changed: tuple[str, ...]
    protocol: str
    selection: str

    @property
    def remark(self) -> str:
        """How the runs differ from the recipe, in words; "" if they do not."""
        parts = {"shortened": self.shortened, "changed": self.changed}
        return "; ".join(f"{name}: {', '.join(what)}" for name, what in parts.items() if what)


def read_settings(record: Record) -> RunSettings | None:
    """Return a run's settings for averaging; None if it has no scores, or if its recipe or data set is not mien's."""
    name, ablation = recipe_of(record), str(group(record, "recipe").get("ablation") or "")
    if not name or finite(group(record, "scores").get("accuracy")) is None:
        return None
    expected = _expected(name, ablation)
    if expected is None or _used(record)["data.dataset"] != expected["data.dataset"]:
        return None
    plain = _expected(name, "") or {}
    differing = [key for key in expected.keys() | plain if expected.get(key) != plain.get(key)]
    if all(key.startswith("data.") or key == "ablation" for key in differing):
        ablation = ""  # the recipe itself by another name, or under another protocol
    return _compare(record, name, ablation, expected)


def _compare(record: Record, name: str, ablation: str, expected: Mapping[str, Any]) -> RunSettings:
    selection = record.get("selection") or group(record, "scores").get("selection") or ""
    rule = str(selection.get("rule", "") if isinstance(selection, Mapping) else selection)
    shortened, changed = _shortened(record, expected), _changed(record, expected)
    return RunSettings(name, ablation, shortened, changed, describe_protocol(record), rule)


def describe_departures(record: Record, recipe: str) -> str:
    """Say in which settings a run departs from one of mien's recipes, on any data set; "" for none."""
    return _compare(record, recipe, "", _expected(recipe, "") or {}).remark


def describe_changes(record: Record) -> tuple[str, ...]:
    """Say in which settings a run departs from its recipe, apart from fewer epochs and smaller images.

    If the recipe is not one of mien's, list all compared settings: runs that differ in them must not be averaged.
    """
    name = recipe_of(record)
    expected = _expected(name, str(group(record, "recipe").get("ablation") or "")) if name else None
    if expected is None:
        used = sorted(_used(record).items())
        return tuple(f"{key} {_show(value)}" for key, value in used if key.startswith(COMPARED))
    return _changed(record, expected)


def recipe_of(record: Record) -> str:
    """Return the name of the shipped recipe that a run was made from; "" if there is none.

    In a queue, a run's name begins with its recipe's, as "hfc/fer2013-short".
    """
    recipe, known = group(record, "recipe"), _names()
    name = str(recipe.get("name", ""))
    starts = [shipped for shipped in known if name == shipped or name.startswith(f"{shipped}-")]
    if starts:
        return max(starts, key=len)
    dataset = str(group(recipe, "data").get("dataset", ""))
    by_paper = f"{recipe.get('paper', '')}/{'own' if dataset == 'folder' else dataset}"
    return by_paper if by_paper in known else ""


def describe_protocol(record: Record) -> str:
    """Describe briefly how the images were split and which part was scored."""
    data, scores = group(group(record, "recipe"), "data"), group(record, "scores")
    name = str(data.get("protocol", "official"))
    parts = data.get("shares") or data.get("counts") or ()
    words = [f"{name} {':'.join(_show(part) for part in parts)}" if parts else name]
    if name in FOLDED:
        words = [f"{data.get('folds', '')} folds{' by subject' if name == 'subject-k-fold' else ''}"]
    if data.get("keep_together"):
        words.append(f"each {data['keep_together']} in one part")
    if data.get("dataset") == "ckplus":
        words.append(f"last {_show(data.get('frames', 3))} of each sequence")
    if data.get("validation_from"):
        words.append(f"validation from {' and '.join(map(str, data['validation_from']))}")
    words += ["no duplicates in training"] if data.get("use_clean") else []
    words += [f"scored on {scores['split']}"] if scores.get("split") else []
    return ", ".join(words)


def _used(record: Record) -> dict[str, Any]:
    return DEFAULTS | flatten(group(record, "recipe"))


_names = cache(names)


@cache
def _expected(name: str, ablation: str) -> dict[str, Any] | None:
    """Return all settings of a shipped recipe by dotted key; None if it has no such ablation."""
    if ablation and ablation not in load_ablations(name):
        return None
    return flatten(load_recipe(name, ablation=ablation or None).model_dump())


def _changed(record: Record, expected: Mapping[str, Any]) -> tuple[str, ...]:
    used = _used(record)
    return tuple(
        f"{key} {_show(used.get(key))} ({_show(expected.get(key))})"
        for key in sorted(expected.keys() | used)
        if key.startswith(COMPARED)
        and used.get(key) != expected.get(key)
        and not (key in SHORTENED_BY and _number(used, key) < _number(expected, key))
    )


def _shortened(record: Record, expected: Mapping[str, Any]) -> tuple[str, ...]:
    used = _used(record)
    epochs = _number(used, "schedule.epochs") if record.get("finished", True) else len(record.get("curves") or ())
    pairs = (
        (epochs, _number(expected, "schedule.epochs"), "epochs"),
        (_number(used, "network.input_size"), _number(expected, "network.input_size"), "pixels"),
    )
    return tuple(f"{part:.0f} of {whole:.0f} {unit}" for part, whole, unit in pairs if part < whole)


def _number(settings: Mapping[str, Any], key: str) -> float:
    return finite(settings.get(key)) or 0.0


def _show(value: Any) -> str:
    number = finite(value)
    return ("unset" if value is None else str(value)) if number is None else f"{number:g}"
