"""Finding parts by name: the files of a room, the entry points of other packages, and files that the user names.

Nothing registers itself: the built-in names are read from the room's files each time, so importing a part
has no side effect and there is no list to keep up to date.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from mien.core.errors import MienError, ModelError, did_you_mean
from mien.core.plugins import find_plugins

T = TypeVar("T")

plugin_files: dict[Path, ModuleType] = {}
"""What `load_plugin_file` has executed in this process."""


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
            raise error(
                f"No {self.kind} named '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}. "
                "One from a file of your own needs --plugin FILE."
            )
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
        classes = _own_classes(module, base)
        if len(classes) != 1:
            raise ModelError(f"{module.__name__} defines {len(classes)} {base.__name__} classes; it must define one.")
        found[module.__name__.rpartition(".")[2]] = classes[0]
    return found


def _own_classes(module: ModuleType, base: type[T]) -> list[type[T]]:
    """Return the subclasses of `base` that a module defines itself."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    ]


def load_plugin_file(path: Path) -> list[tuple[str, str]]:
    """Execute a Python file that the user names; the parts it defines can then be used by name in this process.

    This runs the file's code with all the user's rights: name only files whose content you know. A subclass of
    `Modulator`, `Loss` or `torch.optim.Optimizer` that the file defines goes by the file's name without `.py`, the
    networks of its `NETWORKS` table by their own.

    Returns:
        What the file adds, as kind and name: [("modulator", "own_gate")]; nothing if it was loaded before.

    Raises:
        ModelError: The file is missing, cannot be executed, defines no part, or uses a name that is taken.
    """
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file():
        raise ModelError(f"No plug-in file {path}; expected a Python file, its name ending with .py.")
    if path in plugin_files:
        return []
    before = _names_of_all_kinds()
    plugin_files[path] = _execute(path)
    try:
        _check_networks(path, plugin_files[path])
        added = _names_of_all_kinds() - before
        if not added:
            raise ModelError(
                f"{path} defines nothing to use: no class of its own that is a Modulator, Loss or Optimizer, "
                "and no NETWORKS table."
            )
    except ModelError:
        del plugin_files[path]
        raise
    return sorted(added)


def _names_of_all_kinds() -> set[tuple[str, str]]:
    """Return kind and name of every part; `ModelError` when a name stands twice."""
    from mien.models import optimizers, registry  # here: the registries are built on this file
    from mien.models.losses import registry as losses
    from mien.models.modulators import registry as modulators

    rooms = {"network": registry, "modulator": modulators, "loss": losses, "optimizer": optimizers}
    return {(kind, name) for kind, room in rooms.items() for name in room.names()}


def _execute(path: Path) -> ModuleType:
    """Run a file as a module; its errors become one line with the place. Writes no byte code beside the file."""
    module = ModuleType(f"mien_plugin_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses look for their module
    try:
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - the user named this file to have it run
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        where = f"{path}, line {line}" if line else str(path)
        raise ModelError(f"The plug-in file {where} cannot be run ({type(error).__name__}: {text}).") from None
    return module


def _check_networks(path: Path, module: ModuleType) -> None:
    from mien.models.specification import NetworkSpec  # here: it is built on this file

    table = getattr(module, "NETWORKS", ())
    if not isinstance(table, tuple | list) or not all(isinstance(spec, NetworkSpec) for spec in table):
        raise ModelError(f"NETWORKS of {path} must be a tuple of NetworkSpec entries, not {table!r}.")


def _line(error: BaseException, path: Path) -> int | None:
    """Return the last line of the file that the error came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None


def _parts_of(path: Path, module: ModuleType, base: type[Any]) -> dict[str, Any]:
    """Return by name what a plug-in file defines of one kind: its class, or the specifications of its table."""
    classes = _own_classes(module, base)
    if len(classes) > 1:
        raise ModelError(f"{path} defines {len(classes)} {base.__name__} classes; it must define one.")
    found: dict[str, Any] = dict(zip([path.stem], classes, strict=False))
    for spec in getattr(module, "NETWORKS", ()):
        if isinstance(spec, base):
            if spec.name in found:
                raise ModelError(f"{path} defines two networks named '{spec.name}'; rename one.")
            found[spec.name] = spec
    return found


def with_plugins(kind: str, group: str, base: type, built_in: Mapping[str, T]) -> Table[T]:
    """Return the table of the built-in parts, those of an entry point group, and those of loaded plug-in files.

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
    for path, module in plugin_files.items():
        for name, part in _parts_of(path, module, base).items():
            if name in loaders:
                raise ModelError(f"The {kind} name '{name}' of plug-in file {path} is taken; rename it there.")
            loaders[name] = partial(_same, part)
    return Table(kind, loaders)


def _same(part: T) -> T:
    return part


def _checked(kind: str, name: str, load: Callable[[], Any], base: type) -> Any:
    part = load()
    if not (isinstance(part, base) or (isinstance(part, type) and issubclass(part, base))):
        raise ModelError(f"The plug-in for {kind} '{name}' must be a {base.__name__}, not {part!r}.")
    return part
