"""Reading files of earlier versions: keys that were renamed get their present names."""

from __future__ import annotations

from typing import Any

# Names in run records, model cards and measurements of format 1, and their present names.
RENAMED = {
    "without_twins": "without_duplicates",
    "accuracy_without_twins": "accuracy_without_duplicates",
    "n_without_twins": "n_without_duplicates",
    "lowered": "conversion",
}


def upgrade(content: Any) -> Any:
    """Return JSON content with the present names of its keys, at any depth.

    >>> upgrade({"scores": [{"n_without_twins": 3}]})
    {'scores': [{'n_without_duplicates': 3}]}
    """
    if isinstance(content, dict):
        return {RENAMED.get(key, key): upgrade(value) for key, value in content.items()}
    if isinstance(content, list):
        return [upgrade(value) for value in content]
    return content
