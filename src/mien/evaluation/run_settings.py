"""What a run record says of how the run was made: recipe, protocol, selection rule, departures from the recipe."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mien.core.dotted import flatten
from mien.evaluation.recipe_defaults import DEFAULTS

Record = Mapping[str, Any]
# What a recipe's groups say about the experiment itself; the rest is about the machine, the seed or the split.
COMPARED_GROUPS = ("network.", "loss.", "optimizer.", "schedule.", "augmentation.", "distillation.")
COMPARED_KEYS = frozenset(
    {
        "data.ferplus_weight",
        "data.not_a_face_share",
        "data.class_balance",
        "training.batch_size",
        "training.ema_decay",
        "training.gradient_clip",
        "training.selection",
        "training.patience",
    }
)
# Fewer or smaller than the recipe's make a run a shortened one.
SHORTENED_BY = frozenset({"schedule.epochs", "network.input_size"})


@dataclass(frozen=True)
class RunSettings:
    """What runs must share to be averaged: the recipe's table, departures from it, protocol and selection rule."""

    recipe: str
    ablation: str
    shortened: tuple[str, ...]
    changed: tuple[str, ...]
    protocol: str
    selection: str

    @property
    def remark(self) -> str:
        """What makes the runs other than the recipe, in words; "" where nothing does."""
        return _remark(self.shortened, self.changed)


def read_settings(record: Record) -> RunSettings | None:
    """Return what a run can be compared by; None without scores, or where its recipe or data set is not mien's."""
    recipe, name = group(record, "recipe"), recipe_of(record)
    if not name or finite(group(record, "scores").get("accuracy")) is None:
        return None
    ablation = str(recipe.get("ablation") or "")
    expected, used = _expected(name, ablation), flatten(recipe)
    if expected is None or used.get("data.dataset") != expected.get("data.dataset", used.get("data.dataset")):
        return None
    if _without_data(expected) == _without_data(_expected(name, "") or {}):
        ablation = ""  # the recipe itself by another name, or under another protocol
    shortened = _shortened(record, expected, used)
    changed = _changed(expected, used)
    return RunSettings(name, ablation, shortened, changed, describe_protocol(record), _rule(record))


def describe_departures(record: Record, recipe: str) -> str:
    """Say in which settings a run departs from one of mien's recipes, whatever data it learnt from; "" for none."""
    expected, used = _expected(recipe, "") or {}, flatten(group(record, "recipe"))
    return _remark(_shortened(record, expected, used), _changed(expected, used))


def _remark(shortened: tuple[str, ...], changed: tuple[str, ...]) -> str:
    parts = {"shortened": shortened, "changed": changed}
    return "; ".join(f"{name}: {', '.join(what)}" for name, what in parts.items() if what)


def describe_changes(record: Record) -> tuple[str, ...]:
    """Say in which settings of the experiment itself a run departs from its recipe's file.

    Fewer epochs and smaller pictures, which make it a shortened run, are left out.
    Where the recipe is none of mien's, all of these settings are listed: runs that differ in them must not be averaged.
    """
    recipe, name = group(record, "recipe"), recipe_of(record)
    expected = _expected(name, str(recipe.get("ablation") or "")) if name else None
    used = flatten(recipe)
    if expected is None:
        return tuple(f"{key} {_show(value)}" for key, value in sorted(used.items()) if _is_compared(key))
    return _changed(expected, used)


def _changed(expected: Mapping[str, Any], used: Mapping[str, Any]) -> tuple[str, ...]:
    wanted = {key: DEFAULTS.get(key) for key in used} | dict(expected)
    return tuple(
        f"{key} {_show(used.get(key))} ({_show(value)})"
        for key, value in sorted(wanted.items())
        if _is_compared(key) and not _is_same(used.get(key), value) and not _is_less(key, used.get(key), value)
    )


def _is_compared(key: str) -> bool:
    return key.startswith(COMPARED_GROUPS) or key in COMPARED_KEYS


def _is_less(key: str, used: Any, wanted: Any) -> bool:
    """Whether a setting is one of those by which a run is shortened, and as small as that or smaller."""
    return key in SHORTENED_BY and (finite(used) or 0.0) <= (finite(wanted) or 0.0)


def _shortened(record: Record, expected: Mapping[str, Any], used: Mapping[str, Any]) -> tuple[str, ...]:
    planned, epochs = finite(expected.get("schedule.epochs")), finite(used.get("schedule.epochs"))
    if not record.get("finished", True):
        epochs = float(len(record.get("curves") or ()))
    parts = []
    if planned and epochs is not None and epochs < planned:
        parts.append(f"{epochs:.0f} of {planned:.0f} epochs")
    full, size = finite(expected.get("network.input_size")), finite(used.get("network.input_size"))
    if full and size is not None and size < full:
        parts.append(f"{size:.0f} of {full:.0f} pixels")
    return tuple(parts)


def _rule(record: Record) -> str:
    selection = record.get("selection") or group(record, "scores").get("selection") or ""
    return str(selection.get("rule", "")) if isinstance(selection, Mapping) else str(selection)


def recipe_of(record: Record) -> str:
    """Return the shipped recipe that a run was made from; "" where it is none.

    A queue gives runs names of their own that begin with the recipe's, such as "hfc/fer2013-short".
    """
    recipe = group(record, "recipe")
    name, known = str(recipe.get("name", "")), _shipped_recipes()
    starts = [shipped for shipped in known if name == shipped or name.startswith(f"{shipped}-")]
    if starts:
        return max(starts, key=len)
    dataset = str(group(recipe, "data").get("dataset", ""))
    by_paper = f"{recipe.get('paper', '')}/{'own' if dataset == 'folder' else dataset}"
    return by_paper if by_paper in known else ""


def describe_protocol(record: Record) -> str:
    """Say in a few words how the faces were split, and on which part the scores were taken."""
    data, scores = group(group(record, "recipe"), "data"), group(record, "scores")
    name = str(data.get("protocol", "official"))
    parts = data.get("shares") or data.get("counts") or ()
    words = [f"{name} {':'.join(_show(part) for part in parts)}" if parts else name]
    if name in {"k-fold", "subject-k-fold"}:
        words = [f"{data.get('folds', '')} folds{' by subject' if name == 'subject-k-fold' else ''}"]
    if data.get("validation_from"):
        words.append(f"validation from {' and '.join(map(str, data['validation_from']))}")
    words += ["no twins in training"] if data.get("use_clean") else []
    words += [f"scored on {scores['split']}"] if scores.get("split") else []
    return ", ".join(words)


def describe_hardware(record: Record) -> str:
    """Name the accelerator of a run, or its processor where it had none."""
    hardware = group(record, "hardware")
    accelerator = str(hardware.get("accelerator", ""))
    return str(hardware.get("processor", "")) if accelerator in {"", "cpu"} else accelerator


@cache
def _shipped_recipes() -> dict[str, dict[str, Any]]:
    folders = [folder for folder in (files("mien") / "recipes").iterdir() if folder.is_dir()]
    return {
        f"{folder.name}/{file.name.removesuffix('.toml')}": tomllib.loads(file.read_text(encoding="utf-8"))
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _expected(name: str, ablation: str) -> dict[str, Any] | None:
    """Return the settings that a shipped recipe's file names, an ablation's over them, by dotted key."""
    recipe = _shipped_recipes()[name]
    tables = recipe.get("ablation", {})
    if ablation and ablation not in tables:
        return None
    base = flatten({key: value for key, value in recipe.items() if key != "ablation"})
    changes = flatten(tables.get(ablation, {}))
    kept = {key: value for key, value in base.items() if not any(_overlap(key, other) for other in changes)}
    return kept | changes


def _without_data(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if not key.startswith("data.")}


def _overlap(first: str, second: str) -> bool:
    """Whether a table stands where the other key has a plain value."""
    return first.startswith(f"{second}.") or second.startswith(f"{first}.")


def _is_same(first: Any, second: Any) -> bool:
    one, other = finite(first), finite(second)
    return first == second if one is None or other is None else math.isclose(one, other)


def _show(value: Any) -> str:
    number = finite(value)
    return ("unset" if value is None else str(value)) if number is None else f"{number:g}"


def group(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the group of values under a key; an empty one where there is none."""
    found = tree.get(key)
    return found if isinstance(found, Mapping) else {}


def finite(value: Any) -> float | None:
    """Return a value as a float where it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
