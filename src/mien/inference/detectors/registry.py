"""Detectors by name: this package's files, entry points and plug-in files."""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from mien.core.detector_card import METADATA_KEY
from mien.core.errors import ModelError
from mien.core.paths import AnyPath
from mien.core.plugins import Table, make_table, modules_of, own_classes
from mien.inference import detectors
from mien.inference.detectors import Detector
from mien.inference.detectors.mien import Mien
from mien.inference.detectors.yunet import YuNet
from mien.inference.onnx_session import read_file

AUTO = "auto"
MODEL_FILE = ".onnx"
# The bytes of the card's key in an .onnx file (onnx.proto, StringStringEntryProto.key): files without it are YuNet's.
OWN_FILE = b"\x0a" + bytes([len(METADATA_KEY)]) + METADATA_KEY.encode()

DetectorSpec: TypeAlias = AnyPath | Detector
Maker: TypeAlias = Callable[..., Detector]


def table() -> Table[Maker]:
    """Return what makes each detector, by name: called without arguments, or with what it takes.

    That is the path of a model file, the keyword `smallest_face` (in pixels of the image), both or neither.

    A plug-in file adds its classes that have a `name` and a method `detect`, by that name; or what its mapping
    `DETECTORS` holds: name -> class or function.
    """
    built_in = {name: maker for module in modules_of(detectors) for name, maker in _classes(module).items()}
    return make_table("detector", "mien.detectors", {AUTO: Mien, **built_in}, check=_check_maker, parts_of=_parts_of)


class DetectorParts(NamedTuple):
    """What a text such as `mien:own.onnx@40` says: a name, a model file or "", and the smallest face in pixels."""

    name: str
    file: str = ""
    smallest_face: float | None = None


def create_detector(spec: DetectorSpec = AUTO) -> Detector:
    """Make a detector.

    Args:
        spec: A name: `mien` (this package's own, which `auto` stands for), `yunet`, `haar`, `none` (each image is one
            face) or a plug-in's; `NAME:FILE` with a model file; a model file of `mien` or YuNet; or a detector, which
            is returned. A text may end in `@PIXELS`: the smallest face that `mien` finds, in pixels of the image.

    Raises:
        ModelError: The name is unknown, the model file is missing or of another network, the detector takes none, or
            it has no smallest face to set.
    """
    if not isinstance(spec, str | os.PathLike):
        if isinstance(spec, type) or not hasattr(spec, "detect"):
            raise ModelError(f"Got {spec!r} as a detector; expected a name, a model file or an object with `detect`.")
        return spec
    name, file, smallest_face = split_spec(spec)
    maker = table().load(name, ModelError)
    files = [Path(file)] if file else []
    if files and not _takes(maker, *files):
        raise ModelError(f"Detector '{name}' takes no model file, but got '{file}'; use --detector {name}.")
    if smallest_face is None:
        return maker(*files)
    if not _takes(maker, *files, smallest_face=smallest_face):
        raise ModelError(
            f"Detector '{name}' has no smallest face to set, but got '{spec}'; use --detector mien@PIXELS."
        )
    return maker(*files, smallest_face=smallest_face)


def split_spec(spec: AnyPath) -> DetectorParts:
    """Return the parts of a detector's specification; see `create_detector`.

    Raises:
        ModelError: `@` is not followed by a number above 0, or there is no such model file.
    """
    if not isinstance(spec, str):
        return DetectorParts(_name_of(Path(spec)), str(Path(spec)))
    rest, smallest_face = _split_pixels(spec)
    name, _, file = rest.partition(":")
    if rest.endswith(MODEL_FILE) and name not in table().loaders:
        return DetectorParts(_name_of(Path(rest)), rest, smallest_face)
    return DetectorParts(name, file, smallest_face)


def _split_pixels(spec: str) -> tuple[str, float | None]:
    """Split `@PIXELS` off, which must be a number unless it may be part of a file's name."""
    rest, at, text = spec.rpartition("@")
    if not at:
        return spec, None
    is_number = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)", text) is not None
    if not is_number and (":" in spec or spec.endswith(MODEL_FILE)):
        return spec, None
    if not (is_number and 0 < float(text) < math.inf):
        raise ModelError(f"Detector '{spec}' has no number above 0 after @; expected the smallest face in pixels: @40.")
    return rest, float(text)


def _name_of(file: Path) -> str:
    """Return the name of the detector that a model file belongs to."""
    return Mien.name if OWN_FILE in read_file(file, str(file)) else YuNet.name


def _takes(maker: Maker, *files: Path, **settings: float) -> bool:
    try:
        inspect.signature(maker).bind(*files, **settings)
    except (TypeError, ValueError):
        return False
    return True


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
