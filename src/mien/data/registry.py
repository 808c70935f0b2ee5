"""Finds the data sets' adapters: a module of this folder that defines `matches` and `load` is one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

from mien.core.errors import DataError, did_you_mean
from mien.core.plugins import Table, make_table, modules_of
from mien.data.dataset import FaceDataset

ENTRY_POINTS = "mien.data"
FerplusMode = Literal["majority", "probability"]


@dataclass(frozen=True)
class LoadOptions:
    """How a data set is read; an adapter uses what applies to it.

    Attributes:
        image_size: Side of the returned square images, in pixels, 8 to 1024.
        channels: 1 (grey) or 3 (RGB).
        seed: Of the set-aside validation images (`folder`) and of the drawn faces (`synthetic`).
        validation_share: Share of the training images that is set aside for validation where the data name none;
            0 sets none aside. Per label (`folder`, `rafdb`, `affectnet7`, `affectnet8`) or by whole subjects (`ckplus`,
            `jaffe`).
        faces_per_class: Training faces per label that `synthetic` draws; a third as many for validation.
        ferplus_mode: Which images and label distributions `ferplus` keeps (see there).
        use_lazy_images: Data sets whose pictures are files leave them there, and read each when it is needed.
    """

    image_size: int = 48
    channels: int = 1
    seed: int = 0
    validation_share: float = 0.2
    faces_per_class: int = 60
    ferplus_mode: FerplusMode = "majority"
    use_lazy_images: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.image_size <= 1024:
            raise DataError(f"Image size {self.image_size} is outside 8 to 1024 pixels.")
        if self.channels not in (1, 3):
            raise DataError(f"Images cannot have {self.channels} channels; 1 (grey) and 3 (RGB) are supported.")
        if self.seed < 0:
            raise DataError(f"Seed {self.seed} is negative; a whole number from 0 is expected.")
        if not 0 <= self.validation_share < 1:
            raise DataError(f"Validation share {self.validation_share} is outside 0 (included) to 1 (excluded).")
        if not 1 <= self.faces_per_class <= 10_000:
            raise DataError(f"{self.faces_per_class} faces per class is outside 1 to 10000.")
        if self.ferplus_mode not in get_args(FerplusMode):
            raise DataError(f"FER+ mode '{self.ferplus_mode}' is not one of {', '.join(get_args(FerplusMode))}.")


@dataclass(frozen=True)
class Adapter:
    """One data set's reader, as its module defines it.

    A module `mien/data/NAME.py`, or a module that another package names under the entry point group
    `mien.data`, is an adapter when it defines:

    - `load(path: Path | None, options: LoadOptions) -> FaceDataset`
    - `matches(path: Path) -> bool`: whether an existing file or folder looks like this data set
    - `EXPECTS: str`: the layout in one line
    - `NEEDS_PATH: bool`: False where data need no file
    """

    load: Callable[[Path | None, LoadOptions], FaceDataset]
    matches: Callable[[Path], bool]
    expects: str
    needs_path: bool


def names() -> list[str]:
    """Return the names of all adapters, sorted."""
    return sorted(_adapters())


def detect(path: Path) -> str:
    """Return the name of the adapter that fits a file or folder; of several, the first by name.

    Raises:
        DataError: The path does not exist or no adapter fits; the text lists what each expects.
    """
    _check_exists(path)
    for name, adapter in sorted(_adapters().items()):
        if adapter.matches(path):
            return name
    expected = "; ".join(f"{name}: {a.expects}" for name, a in sorted(_adapters().items()) if a.needs_path)
    raise DataError(f"No data set found at {path}. Expected one of - {expected}.")


def load(name: str, path: Path | None, options: LoadOptions = LoadOptions()) -> FaceDataset:
    """Load a data set.

    Args:
        name: An adapter's name (see `names`).
        path: File or folder; None for adapters that need none.
        options: Size, channels, seed and what else an adapter obeys.

    Raises:
        DataError: The name is unknown, or the data do not have the adapter's layout.
    """
    if name not in _adapters():
        raise DataError(f"No data set named '{name}'.{did_you_mean(name, names())} Data sets: {', '.join(names())}.")
    adapter = _adapters()[name]
    if path is None and adapter.needs_path:
        raise DataError(f"Data set '{name}' needs a path: {adapter.expects}.")
    if path is not None and adapter.needs_path:
        _check_exists(path)
    return adapter.load(path, options)


def needs_path(name: str) -> bool:
    """Return whether a data set is read from files; `DataError` if the name is unknown."""
    return table().load(name, DataError).needs_path


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise DataError(f"No file or folder at {path}.")


def table() -> Table[Adapter]:
    """Return all data sets: the files of this package, other packages' and loaded plug-in files'."""
    return make_table("data set", ENTRY_POINTS, _built_in(), check=_checked, parts_of=_adapter_of, error=DataError)


def _adapters() -> dict[str, Adapter]:
    return {name: load() for name, load in table().loaders.items()}


@cache
def _built_in() -> dict[str, Adapter]:
    modules = {
        module.__name__.rpartition(".")[2]: module for module in modules_of(importlib.import_module("mien.data"))
    }
    return {name: _adapter(module) for name, module in modules.items() if not _missing(module)}


def _adapter(module: ModuleType) -> Adapter:
    return Adapter(module.load, module.matches, module.EXPECTS, module.NEEDS_PATH)


def _missing(module: object) -> list[str]:
    return [part for part in ("load", "matches", "EXPECTS", "NEEDS_PATH") if not hasattr(module, part)]


def _adapter_of(path: Path, module: ModuleType) -> dict[str, Adapter]:
    return {} if _missing(module) else {path.stem: _adapter(module)}


def _checked(name: str, module: object) -> Adapter:
    if not isinstance(module, ModuleType) or _missing(module):
        raise DataError(
            f"The plug-in for data set '{name}' must be a module with load, matches, EXPECTS and NEEDS_PATH;"
            " update or uninstall the plug-in."
        )
    return _adapter(module)
