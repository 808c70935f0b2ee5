"""Reads a results folder: every run record in it and the files beside it; broken files are named and left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.core.dotted import finite
from mien.core.errors import DataError
from mien.core.upgrade import upgrade
from mien.evaluation.arrays import read_arrays
from mien.evaluation.predictions import PREDICTIONS, Predictions
from mien.evaluation.report.markup import clean
from mien.evaluation.tables import compare_reported
from mien.recipes.departures import describe_changes, describe_protocol
from mien.recipes.record import RECORD

T = TypeVar("T")
Warn = Callable[[str], None]
# What a record needs to be shown, and the kind of each.
REQUIRED = {"name": str, "recipe": dict, "data": dict, "scores": dict, "curves": list}


class Features(NamedTuple):
    """The inputs of a network's last layer for some faces, (n, d), annotated classes and rows in the whole data set."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: The record's folder, relative to the results folder.
        record: The record's content.
        predictions, features, robustness: The files beside the record; None if missing.
    """

    folder: str
    record: Mapping[str, Any]
    predictions: Predictions | None = None
    features: Features | None = None
    robustness: Mapping[str, Any] | None = None

    def text(self, path: str, default: str = "") -> str:
        """Return the record's value at `a.b.c` as text; `default` if there is none."""
        value = look_up(self.record, path)
        return default if value is None or isinstance(value, dict | list) else clean(str(value))

    def number(self, path: str) -> float | None:
        """Return the finite number at `a.b.c` of the record; None if there is none."""
        return finite(look_up(self.record, path))


def look_up(content: Any, path: str) -> Any:
    """Return the value at `a.b.c` of nested JSON; None if there is none."""
    for key in path.split("."):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def read_runs(folder: Path, warn: Warn) -> tuple[Run, ...]:
    """Read every run at any depth of a folder, in the order of their paths; copies are left out.

    `warn` is called with one line for each file that is left out.

    Raises:
        DataError: There is no run record.
    """
    runs = []
    seen: dict[bytes, Path] = {}
    for path in sorted(folder.rglob(RECORD)):
        try:
            run = _read_run(path, path.parent.relative_to(folder).as_posix(), warn)
        except DataError as error:
            warn(f"left out: {error}")
            continue
        # a run that is counted twice would look like two seeds that agree
        first = seen.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
        if first is path:
            runs.append(run)
        else:
            warn(f"left out: {path} is a copy of {first}; remove one of them.")
    if not runs:
        raise DataError(
            f"No run record ({RECORD}) in the folder {folder}; make one with `mien train` or `mien train-all`."
        )
    return tuple(runs)


def read_json(path: Path) -> Any:
    """Read a JSON file, with the present names of its keys; `DataError` in one line if it is not JSON."""
    try:
        return upgrade(json.loads(path.read_text(encoding="utf-8"), parse_int=_parse_int))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a JSON file ({error}).") from None


def _parse_int(digits: str) -> int | float:
    """Read an integer; one too large for a count becomes a float, perhaps infinite, which `finite` refuses."""
    return int(digits) if len(digits) < 19 else float(digits)


def _read_run(path: Path, folder: str, warn: Warn) -> Run:
    record = read_json(path)
    if not isinstance(record, dict):
        raise DataError(f"{path} is not a run record: expected a JSON object.")
    wrong = [key for key, kind in REQUIRED.items() if not isinstance(record.get(key), kind)]
    if wrong:
        raise DataError(f"{path} is not a run record: {', '.join(wrong)} missing or of another type.")
    try:
        compare_reported((), [record])
        describe_protocol(record)
        describe_changes(record)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is not a run record ({error}).") from None
    return Run(
        folder,
        record,
        read_optional(path.with_name(PREDICTIONS), Predictions.load, warn),
        read_optional(path.with_name("features.npz"), _load_features, warn),
        read_optional(path.with_name("robustness.json"), read_json, warn),
    )


def read_optional(path: Path, read: Callable[[Path], T], warn: Warn) -> T | None:
    """Return what `read` makes of a file; None if there is none, or with a warning if it is broken."""
    if path.exists():
        try:
            return read(path)
        except DataError as error:
            warn(f"left out: {error}")
    return None


def _load_features(path: Path) -> Features:
    kind = "a file of features (n, d), labels (n,) and rows (n,)"
    arrays = read_arrays(path, kind)
    try:
        features, labels, rows = (arrays[name] for name in ("features", "labels", "rows"))
    except KeyError:
        raise DataError(f"{path} is not {kind}.") from None
    are_numbers = all(array.ndim == 1 and np.issubdtype(array.dtype, np.integer) for array in (labels, rows))
    is_matrix = features.ndim == 2 and features.dtype.kind == "f" and len(features) == len(labels) == len(rows)
    if not (are_numbers and is_matrix and np.isfinite(features).all()):
        raise DataError(f"{path} is not {kind}; the features must be finite.")
    return Features(features.astype(np.float32), labels.astype(np.int64), rows.astype(np.int64))
