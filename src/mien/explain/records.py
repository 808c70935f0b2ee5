"""Puts what was measured into a run's record: means only, by data set and split, next to what stands there already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Measured = Mapping[str, Any]


def add_to_record(path: Path, measured: Measured) -> None:
    """Write measures into a run's record.json, in one step.

    Args:
        path: The record.
        measured: JSON-ready, with `dataset`, `split` and `methods`.

    Raises:
        MienError: The file is no run record.
    """
    from mien.recipes.record import RunRecord

    record = RunRecord.load(path)
    name = f"{measured['dataset']} {measured['split']}"
    record.explanations = {**record.explanations, name: merge(record.explanations.get(name), measured)}
    record.save(path)


def merge(earlier: object, measured: Measured) -> dict[str, Any]:
    """Return new measures with those earlier ones that were taken on the same faces in the same way.

    Args:
        earlier: What the record holds of the data set and split; anything.
        measured: What was measured now; of a method measured twice this counts.
    """
    if not isinstance(earlier, dict) or not isinstance(earlier.get("methods"), dict):
        return dict(measured)
    if _frame(earlier) != _frame(measured):
        return dict(measured)
    return {**measured, "methods": {**earlier["methods"], **measured["methods"]}}


def _frame(record: Measured) -> dict[str, Any]:
    """Return what must be equal for two measurements to stand in one table."""
    return {name: value for name, value in record.items() if name not in ("methods", "version")}
