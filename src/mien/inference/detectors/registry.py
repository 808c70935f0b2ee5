"""Detectors by name: this package's files, entry points and plug-in files."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from mien.core.errors import ModelError
from mien.core.plugins import Table, make_table, modules_of, own_classes
from mien.inference import detectors
from mien.inference.detectors import Detector
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.yunet import YuNet, find_weights

AUTO = "auto"
MODEL_FILE = ".onnx"  # files with this ending are YuNet's

DetectorSpec: TypeAlias = str | Path | Detector
Maker: TypeAlias = Callable[..., Detector]


def table() -> Table[Maker]:
    """Return what makes each detector, by name: called without arguments, or with the path of a model file.

    A plug-in file adds its classes that have a `name` and a method `detect`, by that name; or what its mapping
    `DETECTORS` holds: name -> class or function.
    """
    built_in = {name: maker for module in modules_of(detectors) for name, maker in _classes(module).items()}
    return make_table(
        "detector", "mien.detectors", {AUTO: _make_auto, **built_in}, check=_check_maker, parts_of=_parts_of
    )


def create_detector(spec: DetectorSpec = AUTO) -> Detector:
    """Make a detector.

    Args:
        spec: A name: `yunet`, `haar`, `none` (each image is one face), `auto` (YuNet if its model file is found, else
            Haar, with one line about it on stderr) or a plug-in's; `NAME:FILE` with a model file; a model file, which
            must be YuNet's; or a detector, which is returned.

    Raises:
        ModelError: The name is unknown, the model file is missing or of another network, or the detector takes none.
    """
    if not isinstance(spec, str | Path):
        return spec
    name, file = split_spec(spec)
    maker = table().load(name, ModelError)
    if not file:
        return maker()
    try:
        inspect.signature(maker).bind(Path(file))
    except (TypeError, ValueError):
        raise ModelError(f"Detector '{name}' takes no model file, but got '{file}'; use --detector {name}.") from None
    return maker(Path(file))


def split_spec(spec: str | Path) -> tuple[str, str]:
    """Return the name and the model file that a detector is specified by; "" if there is no file."""
    name, _, file = str(spec).partition(":")
    if isinstance(spec, Path) or (spec.endswith(MODEL_FILE) and name not in table().loaders):
        return YuNet.name, str(spec)
    return name, file


def _parts_of(path: Path, module: ModuleType) -> Mapping[str, Maker]:
    own = getattr(module, "DETECTORS", None)
    if own is None:
        return _classes(module)
    if not (isinstance(own, Mapping) and all(isinstance(name, str) and callable(own[name]) for name in own)):
        raise ModelError(f"DETECTORS of {path} must map names to classes or functions that make a detector.")
    return own


def _classes(module: ModuleType) -> dict[str, Maker]:
    """Return the detector classes that a module defines itself, by name."""
    parts: list[Any] = own_classes(module, object)
    named = {getattr(part, "name", None): part for part in parts if hasattr(part, "detect")}
    return {name: part for name, part in named.items() if isinstance(name, str)}


def _check_maker(name: str, part: Any) -> Maker:
    if not callable(part):
        raise ModelError(f"The plug-in for detector '{name}' must be a class or a function, not {part!r}.")
    maker: Maker = part
    return maker


def _make_auto() -> Detector:
    if find_weights() is not None:
        return YuNet()
    _recommend_yunet()
    return Haar()


@functools.cache
def _recommend_yunet() -> None:
    """Print once per process that there is a better detector."""
    note = "note: using OpenCV's Haar face detector; `mien fetch yunet` downloads one that finds more faces, faster."
    print(note, file=sys.stderr)
