"""Reading files of earlier versions: renamed keys get their present names, removed settings are left out."""

from __future__ import annotations

from typing import Any

# Names in run records, model cards and measurements of format 1, and their present names.
RENAMED = {
    "without_twins": "without_duplicates",
    "accuracy_without_twins": "accuracy_without_duplicates",
    "n_without_twins": "n_without_duplicates",
    "lowered": "conversion",
}
# Settings of recipes that no longer exist.
REMOVED = frozenset({"use_graphs", "use_sync_batch_norm"})


def upgrade(content: Any) -> Any:
    """Return JSON content with the present keys, at any depth.

    >>> upgrade({"scores": [{"n_without_twins": 3}], "training": {"use_graphs": False}})
    {'scores': [{'n_without_duplicates': 3}], 'training': {}}
    """
    if isinstance(content, dict):
        return {RENAMED.get(key, key): upgrade(value) for key, value in content.items() if key not in REMOVED}
    if isinstance(content, list):
        return [upgrade(value) for value in content]
    return content
