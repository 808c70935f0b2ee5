"""Reads a results folder: every run record below it, with what lies beside; what is none is named and left out."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.dotted import finite
from mien.core.errors import DataError
from mien.core.upgrade import upgrade
from mien.evaluation.predictions import Predictions
from mien.evaluation.tables import compare
from mien.recipes.departures import describe_changes, describe_protocol
from mien.recipes.record import RECORD

MAX_BYTES = 2**28
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Features:
    """What a network made of some faces before its last layer.

    Attributes:
        features: (n, d) float32.
        labels: (n,) int64, the annotated class.
        rows: (n,) int64, row numbers in the whole data set.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One run as its record tells it.

    Attributes:
        folder: Where the record lies, as text relative to the results folder.
        record: The record's content.
        accuracy: Share in [0, 1]; None while the run has no scores.
        predictions, features, robustness: What lies beside the record; None where it does not.
    """

    folder: str
    record: Mapping[str, Any]
    accuracy: float | None
    predictions: Predictions | None = None
    features: Features | None = None
    robustness: Mapping[str, Any] | None = None

    def text(self, path: str, default: str = "") -> str:
        """Return what stands at `a.b.c` of the record as text; `default` where there is nothing."""
        value = self.look_up(path)
        return default if value is None or isinstance(value, dict | list) else str(value)

    def number(self, path: str) -> float | None:
        """Return the finite number at `a.b.c` of the record; None where there is none."""
        return finite(self.look_up(path))

    def look_up(self, path: str) -> Any:
        """Return what stands at `a.b.c` of the record; None where there is nothing."""
        value: Any = self.record
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value


def read_runs(folder: Path, warn: Warn) -> tuple[Run, ...]:
    """Read every run at any depth below a folder, in the order of their paths; a copy of one is left out.

    Args:
        folder: The results folder.
        warn: Told in one line, naming the file, what is left out.

    Raises:
        DataError: The folder does not exist, or no run record is in it.
    """
    if not folder.is_dir():
        raise DataError(f"No results folder {folder}; name one that holds run records ({RECORD}).")
    runs = tuple(_read_all(folder, warn))
    if not runs:
        raise DataError(f"No run record ({RECORD}) below {folder}; make one with `mien train` or `mien train-all`.")
    return runs


def read_json(path: Path) -> Any:
    """Read a JSON file; `DataError` in one line where it is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MiB.")
        return upgrade(json.loads(path.read_text(encoding="utf-8"), parse_int=_parse_int))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a JSON file ({error}).") from None


def _parse_int(digits: str) -> int | float:
    """Read a whole number; one that no count can reach becomes a float, and an infinite one is passed over later."""
    return int(digits) if len(digits) < 19 else float(digits)


def _read_all(folder: Path, warn: Warn) -> Iterator[Run]:
    seen: dict[bytes, Path] = {}
    for path in sorted(folder.rglob(RECORD)):
        try:
            run = _read_run(path, path.parent.relative_to(folder).as_posix(), warn)
        except DataError as error:
            warn(f"left out: {error}")
            continue
        # counted twice, a run would pass for two seeds that agree
        first = seen.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
        if first is path:
            yield run
        else:
            warn(f"left out: {path} is a copy of {first}; remove one of them.")


def _read_run(path: Path, folder: str, warn: Warn) -> Run:
    record = read_json(path)
    kinds = {"name": str, "recipe": dict, "data": dict, "scores": dict, "curves": list}
    if not isinstance(record, dict):
        raise DataError(f"{path} is not a run record: it holds no object.")
    wrong = [key for key, kind in kinds.items() if not isinstance(record.get(key), kind)]
    if wrong:
        raise DataError(f"{path} is not a run record: {', '.join(wrong)} missing or of another kind.")
    try:
        compare((), [record])
        describe_protocol(record)
        describe_changes(record)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is not a run record ({error}).") from None
    beside: dict[str, Any] = {}
    for name, read in (("predictions.npz", Predictions.load), ("features.npz", _load_features)):
        beside[name] = _optional(path.with_name(name), read, warn)
    robustness = _optional(path.with_name("robustness.json"), read_json, warn)
    return Run(
        folder,
        record,
        finite(record["scores"].get("accuracy")),
        beside["predictions.npz"],
        beside["features.npz"],
        robustness if isinstance(robustness, dict) else None,
    )


def _optional(path: Path, read: Callable[[Path], Any], warn: Warn) -> Any:
    if not path.exists():
        return None
    try:
        return read(path)
    except DataError as error:
        warn(f"left out: {error}")
        return None


def _load_features(path: Path) -> Features:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"{path} would unpack to more than {MAX_BYTES >> 20} MiB.")
        with np.load(path, allow_pickle=False) as file:
            features, labels, rows = (file[name] for name in ("features", "labels", "rows"))
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a file of features ({error}).") from None
    whole = all(array.ndim == 1 and np.issubdtype(array.dtype, np.integer) for array in (labels, rows))
    if not (whole and features.ndim == 2 and features.dtype.kind == "f" and len(features) == len(labels) == len(rows)):
        raise DataError(f"{path} is not a file of features: expected features (n, d), labels (n,) and rows (n,).")
    if not np.isfinite(features).all():
        raise DataError(f"{path} holds NaN or infinity.")
    return Features(features.astype(np.float32), labels.astype(np.int64), rows.astype(np.int64))
