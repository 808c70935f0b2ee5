"""Data sets by name: this package's adapters, other packages' (entry points) and those of plug-in files."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from mien.core.errors import DataError
from mien.core.plugins import Table, make_table, modules_of
from mien.core.text import count
from mien.data.dataset import FaceDataset
from mien.data.label_files import list_folders, list_images
from mien.data.options import LoadOptions

ENTRY_POINTS = "mien.data"
# The adapter that reads any folder of folders.
ANY_FOLDER = "folder"
PARTS = ("load", "matches", "EXPECTS", "NEEDS_PATH")


class Adapter(Protocol):
    """Reads one data set: a module `mien/data/NAME.py`, a plug-in file `NAME.py`, or an entry point's module."""

    EXPECTS: str
    """The layout in one line."""
    NEEDS_PATH: bool
    """False if the data set needs no file."""

    def load(self, path: Any, options: LoadOptions) -> FaceDataset:
        """Read the data set at a path that exists (None may come only if `NEEDS_PATH` is False).

        Raises:
            DataError: Its layout is wrong.
        """
        ...

    def matches(self, path: Path) -> bool:
        """Return whether an existing file or folder looks like this data set."""
        ...


def table() -> Table[Adapter]:
    """Return all data sets: the files of this package, other packages' and loaded plug-in files'."""
    return make_table("data set", ENTRY_POINTS, _built_in(), check=_check, parts_of=_parts_of, error=DataError)


def names() -> list[str]:
    """Return the names of all data sets, sorted."""
    return table().names()


def detect(path: Path) -> str:
    """Return the name of the data set that a file or folder holds.

    If several fit, it is a plug-in's, then the first by name; "folder", which fits many, is the last.

    Raises:
        DataError: The path does not exist or no adapter fits; the message says what was found there.
    """
    _check_exists(path)
    order = sorted(names(), key=lambda name: (name in _built_in(), name == ANY_FOLDER, name))
    adapters = {name: _find(name) for name in order}
    for name, adapter in adapters.items():
        if adapter.matches(path):
            return name
    raise DataError(
        f"No data set found at {path} ({_describe(path)}). Expected a folder for each label, two labels or more"
        " (angry/1.jpg, happy/1.jpg), or a data set named with --dataset; `mien data list` lists their layouts."
    )


def fits(name: str, path: Path) -> bool:
    """Return whether a file or folder looks like a data set; `DataError` if it, or the name, does not exist."""
    _check_exists(path)
    return _find(name).matches(path)


def load(name: str, path: Path | None, options: LoadOptions = LoadOptions()) -> FaceDataset:  # noqa: B008 - immutable
    """Load a data set.

    Args:
        name: Its name (see `names`).
        path: File or folder; None for data sets that need none.
        options: Size, channels, seed and whatever else the adapter uses.

    Raises:
        DataError: The name is unknown, or the files do not have the expected layout.
    """
    adapter = _find(name)
    if adapter.NEEDS_PATH:
        if path is None:
            raise DataError(f"Data set '{name}' needs a path: {adapter.EXPECTS}.")
        _check_exists(path)
    return adapter.load(path, options)


def expects(name: str) -> str:
    """Return the layout of a data set in one line; `DataError` if the name is unknown."""
    return _find(name).EXPECTS


def is_built_in(name: str) -> bool:
    """Return whether a data set is one of this package's."""
    return name in _built_in()


def needs_path(name: str) -> bool:
    """Return whether a data set is read from files; `DataError` if the name is unknown."""
    return _find(name).NEEDS_PATH


def _find(name: str) -> Adapter:
    return table().load(name, DataError)


def _describe(path: Path) -> str:
    if not path.is_dir():
        return "a file"
    return f"{count(len(list_images(path)), 'image')} and {count(len(list_folders(path)), 'folder')} in it"


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise DataError(f"No file or folder at {path}.")


@cache
def _built_in() -> Mapping[str, Adapter]:
    modules: Iterator[Any] = modules_of(importlib.import_module("mien.data"))
    return {module.__name__.rpartition(".")[2]: module for module in modules if _is_adapter(module)}


def _is_adapter(module: object) -> bool:
    return all(hasattr(module, part) for part in PARTS)


def _parts_of(path: Path, module: Any) -> dict[str, Adapter]:
    return {path.stem: module} if _is_adapter(module) else {}


def _check(name: str, module: Any) -> Adapter:
    if not _is_adapter(module):
        raise DataError(
            f"The plug-in for data set '{name}' must be a module with {', '.join(PARTS)};"
            " update or uninstall the plug-in."
        )
    adapter: Adapter = module
    return adapter
