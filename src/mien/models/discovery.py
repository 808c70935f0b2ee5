"""Finding parts by name: the files of a room, and the entry points of other packages.

Nothing registers itself: the built-in names are read from the room's files each time, so importing a part
has no side effect and there is no list to keep up to date.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Generic, TypeVar

from mien.core.errors import MienError, ModelError, did_you_mean
from mien.core.plugins import find_plugins

T = TypeVar("T")


@dataclass(frozen=True)
class Table(Generic[T]):
    """Parts of one kind by name; an outsider's part is imported only when it is asked for."""

    kind: str
    loaders: Mapping[str, Callable[[], T]]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self.loaders)

    def load(self, name: str, error: type[MienError]) -> T:
        """Return the part of that name; `error` names the nearest and all that there are."""
        if name not in self.loaders:
            known = self.names()
            raise error(f"No {self.kind} named '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}.")
        return self.loaders[name]()


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield every file of a room but its registry, in order of name."""
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name != "registry":
            yield importlib.import_module(f"{package.__name__}.{info.name}")


def classes_by_file(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Return {file name: the one subclass of `base` that the file defines}.

    Raises:
        ModelError: A file defines none, or several.
    """
    found: dict[str, type[T]] = {}
    for module in modules_of(package):
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise ModelError(f"{module.__name__} defines {len(classes)} {base.__name__} classes; it must define one.")
        found[module.__name__.rpartition(".")[2]] = classes[0]
    return found


def with_plugins(kind: str, group: str, base: type, built_in: Mapping[str, T]) -> Table[T]:
    """Return the table of the built-in parts and those of an entry point group.

    Args:
        kind: What a part is called in errors: "modulator".
        group: The entry points' group.
        base: What a plug-in's part must be an instance or a subclass of.
        built_in: This package's parts by name.

    Raises:
        ModelError: A name stands twice.
    """
    loaders: dict[str, Callable[[], T]] = {name: partial(_same, part) for name, part in built_in.items()}
    for name, load in find_plugins(kind, group, built_in, ModelError).items():
        loaders[name] = partial(_checked, kind, name, load, base)
    return Table(kind, loaders)


def _same(part: T) -> T:
    return part


def _checked(kind: str, name: str, load: Callable[[], Any], base: type) -> Any:
    part = load()
    if not (isinstance(part, base) or (isinstance(part, type) and issubclass(part, base))):
        raise ModelError(f"The plug-in for {kind} '{name}' must be a {base.__name__}, not {part!r}.")
    return part
