"""Reading nested settings and JSON: dotted keys, tables and numbers that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by dotted key: {"a": {"b": 1}} gives {"a.b": 1}; empty tables vanish."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves


def group(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the table under a key; an empty one if there is none."""
    found = tree.get(key)
    return found if isinstance(found, Mapping) else {}


def finite(value: Any) -> float | None:
    """Return a value as a float if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
