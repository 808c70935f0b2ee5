"""Reading files that earlier versions wrote: keys that were renamed get their present names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Run records, model cards and measurements up to format 1 -> their present names.
RENAMED = {
    "without_twins": "without_duplicates",
    "accuracy_without_twins": "accuracy_without_duplicates",
    "n_without_twins": "n_without_duplicates",
    "lowered": "conversion",
}


def upgrade(content: Any) -> Any:
    """Return JSON content with the present names of its keys, at any depth; present content stays as it is."""
    if isinstance(content, Mapping):
        return {RENAMED.get(key, key): upgrade(value) for key, value in content.items()}
    if isinstance(content, list):
        return [upgrade(value) for value in content]
    return content
