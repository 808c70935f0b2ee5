"""Parts that other packages bring by entry point: found by name, loaded when asked for, blamed by name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from importlib import metadata
from typing import Any

from mien.core.errors import MienError


def find_plugins(kind: str, group: str, taken: Collection[str], error: type[MienError]) -> dict[str, Callable[[], Any]]:
    """Return, by name, what loads each part of an entry point group.

    Args:
        kind: What a part is called in errors: "modulator".
        group: The entry points' group: "mien.modulators".
        taken: Names that are used already.
        error: What is raised, here for a name that stands twice, and by a loader for a part that cannot be loaded.
    """
    loaders: dict[str, Callable[[], Any]] = {}
    for point in metadata.entry_points(group=group):
        if point.name in taken or point.name in loaders:
            raise error(f"The {kind} name '{point.name}' of plug-in {point.value} is taken; rename it there.")
        loaders[point.name] = partial(_load, kind, point, error)
    return loaders


def _load(kind: str, point: metadata.EntryPoint, error: type[MienError]) -> Any:
    try:
        return point.load()
    except Exception as problem:  # a plug-in may fail in any way; the user needs its name, not its stack
        raise error(
            f"The {kind} '{point.name}' of plug-in {point.value} cannot be loaded "
            f"({type(problem).__name__}: {problem}); update or uninstall the plug-in."
        ) from None
