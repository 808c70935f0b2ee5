"""Find parts (modulators, losses, data sets, detectors ...) by name.

They come from the files of a package, from entry points of other packages, and from plug-in files that the user names.
Nothing registers itself: a registry calls `make_table` whenever it needs its parts, so importing a part has no side
effect, and no list must be kept up to date.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from mien.core.errors import MienError, ModelError, did_you_mean

T = TypeVar("T")
PartsOf = Callable[[Path, ModuleType], Mapping[str, T]]

plugin_files: dict[Path, ModuleType] = {}
"""The plug-in files that this process has executed, by resolved path."""


@dataclass(frozen=True)
class Table(Generic[T]):
    """The parts of one kind by name. Those of other packages are imported when they are loaded."""

    kind: str
    loaders: Mapping[str, Callable[[], T]]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self.loaders)

    def load(self, name: str, error: type[MienError]) -> T:
        """Return the part of that name; `error` lists all names and suggests the nearest."""
        if name not in self.loaders:
            known = self.names()
            raise error(
                f"No {self.kind} named '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}. "
                "One from a file of your own needs --plugin FILE; in Python, `load_plugin_files([FILE])` of "
                "mien.apps.plugin_files."
            )
        return self.loaders[name]()


def make_table(  # noqa: PLR0913
    kind: str,
    group: str,
    built_in: Mapping[str, T],
    *,
    check: Callable[[str, Any], T],
    parts_of: PartsOf[T],
    error: type[MienError] = ModelError,
) -> Table[T]:
    """Return the built-in parts of a kind, those of an entry point group, and those of loaded plug-in files.

    Args:
        kind: The kind's name in errors: "modulator".
        group: The group of entry points: "mien.modulators".
        built_in: This package's parts by name.
        check: Takes an entry point's name and what it loaded; returns the part, or raises `error`.
        parts_of: Takes a plug-in file's path and module; returns the file's parts of this kind by name.
        error: The class of the errors.

    Raises:
        MienError: A name is taken.
    """
    loaders: dict[str, Callable[[], T]] = {name: partial(_return, part) for name, part in built_in.items()}

    def add(name: str, loader: Callable[[], T], owner: str) -> None:
        if name in loaders:
            raise error(f"The {kind} name '{name}' of {owner} is taken; rename it there.")
        loaders[name] = loader

    for point in metadata.entry_points(group=group):
        add(point.name, partial(_load_entry_point, kind, point, check, error), f"plug-in {point.value}")
    for path, module in plugin_files.items():
        for name, part in parts_of(path, module).items():
            add(name, partial(_return, part), f"plug-in file {path}")
    return Table(kind, loaders)


def make_class_table(kind: str, group: str, base: type[T], built_in: Mapping[str, type[T]]) -> Table[type[T]]:
    """Return the table of a kind whose parts are subclasses of `base`; a class in a plug-in file is named after it."""

    def check(name: str, part: Any) -> type[T]:
        if not (isinstance(part, type) and issubclass(part, base)):
            raise ModelError(f"The plug-in for {kind} '{name}' must be a {base.__name__}, not {part!r}.")
        return part

    def parts_of(path: Path, module: ModuleType) -> dict[str, type[T]]:
        classes = own_classes(module, base)
        if len(classes) > 1:
            raise ModelError(f"{path} defines {len(classes)} {base.__name__} classes; it must define one.")
        return dict(zip([path.stem], classes, strict=False))

    return make_table(kind, group, built_in, check=check, parts_of=parts_of)


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield every file of a package except its registry, sorted by name."""
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name != "registry":
            yield importlib.import_module(f"{package.__name__}.{info.name}")


def classes_by_file(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Return {file name: the one subclass of `base` that the file defines}; `ModelError` for none or several."""
    found: dict[str, type[T]] = {}
    for module in modules_of(package):
        classes = own_classes(module, base)
        if len(classes) != 1:
            raise ModelError(f"{module.__name__} defines {len(classes)} {base.__name__} classes; it must define one.")
        found[module.__name__.rpartition(".")[2]] = classes[0]
    return found


def own_classes(module: ModuleType, base: type[T]) -> list[type[T]]:
    """Return the subclasses of `base` that a module defines itself."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    ]


def load_plugin_file(path: Path, tables: Callable[[], Collection[Table[Any]]]) -> list[tuple[str, str]]:
    """Execute a Python file; the parts it defines can then be used by name in this process.

    The code runs with all rights of the user: load only files that you trust.

    Args:
        path: The file.
        tables: Returns the tables that parts may appear in; called after the file was executed.

    Returns:
        Kind and name of each part that the file adds, as ("modulator", "own_gate"); nothing if it was loaded before.

    Raises:
        ModelError: The file is missing, cannot be executed, defines no part, or uses a name that is taken.
    """
    path = path.resolve()
    if path in plugin_files:
        return []
    run_plugin_file(path)
    module = plugin_files.pop(path)
    try:
        before = _names(tables())  # after execution: the file may have imported packages that some tables need
        plugin_files[path] = module
        added = _names(tables()) - before
        if not added:
            raise ModelError(
                f"{path} defines nothing to use: no Modulator, Loss, Optimizer or detector class of its own, "
                "no NETWORKS or DETECTORS, and no data set's load function."
            )
    except MienError:
        plugin_files.pop(path, None)
        sys.modules.pop(module.__name__, None)
        raise
    return sorted(added)


def run_plugin_file(path: Path) -> None:
    """Execute a plug-in file without checking its parts: for worker processes, whose parent has checked them."""
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file():
        raise ModelError(f"No plug-in file {path}; expected an existing .py file.")
    if path not in plugin_files:
        plugin_files[path] = _execute(path)


def _names(tables: Collection[Table[Any]]) -> set[tuple[str, str]]:
    return {(table.kind, name) for table in tables for name in table.loaders}


def _execute(path: Path) -> ModuleType:
    """Run a file as a module, without writing byte code; an error in it becomes one line that names the place."""
    name = f"mien_plugin_{path.stem}"
    while name in sys.modules:  # a file of the same name in another folder, whose classes must stay importable
        name += "_"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look up their module there
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - the user asked to run this file
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        if isinstance(error, SyntaxError):
            line, text = error.lineno, error.msg
        else:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            line, text = frames[-1].lineno if frames else None, str(error)
        where = f"{path}, line {line}" if line else str(path)
        raise ModelError(f"The plug-in file {where} cannot be run ({type(error).__name__}: {text}).") from None
    return module


def _load_entry_point(
    kind: str, point: metadata.EntryPoint, check: Callable[[str, Any], T], error: type[MienError]
) -> T:
    try:
        part = point.load()
    except Exception as problem:  # a plug-in may fail in any way; the user needs its name, not its stack
        raise error(
            f"The {kind} '{point.name}' of plug-in {point.value} cannot be loaded "
            f"({type(problem).__name__}: {problem}); update or uninstall the plug-in."
        ) from None
    return check(point.name, part)


def _return(part: T) -> T:
    return part
