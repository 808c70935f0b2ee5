"""The predictions file: all that scoring needs, so scores can be computed again without model or pictures."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.whole_file import whole_file

FORMAT = "mien-predictions-1"
MAX_BYTES = 2**30  # unpacked: 8 million images of 7 classes
ROW_SUM_TOLERANCE = 1e-3
# A column of metadata is stored under this and its position: a column's name may hold any sign.
COLUMN = "metadata_"
ARRAYS = ("probabilities", "labels", "is_duplicate", "rows", "paths", "about")


@dataclass(frozen=True)
class Predictions:
    """A model's probabilities on one split of one data set, n images and k labels.

    Attributes:
        probabilities: (n, k) float32, each row sums to 1 within 1e-3.
        labels: The annotated class of each image, (n,) int64, in 0..k-1.
        label_set: The k labels, in the order of the columns.
        model: The model's name.
        dataset: The data set's name.
        split: train, validation or test.
        fingerprint: What the data set calls its content, to tell two versions apart.
        is_duplicate: Whether a pixel-identical image stands in the training split, (n,) bool.
        rows: The images' row numbers in the whole data set, (n,) int64.
        paths: The images' names where they are files, (n,); empty when they are not.
        selection: How the model's weights were chosen, as its card says ("" when it does not).
        views: How each face was seen: "one", "flip" or "ten-crop".
        metadata: What else the data set knows of each image, (n,) texts by column; "" where unknown.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    label_set: LabelSet
    model: str
    dataset: str
    split: str
    fingerprint: str
    is_duplicate: NDArray[np.bool_]
    rows: NDArray[np.int64]
    paths: tuple[str, ...] = ()
    selection: str = ""
    views: str = "one"
    metadata: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, k = len(self.labels), len(self.label_set)
        if self.probabilities.shape != (n, k):
            raise DataError(
                f"Predictions have shape {self.probabilities.shape}; {n} images and {k} labels need {(n, k)}."
            )
        for name, array in (("is_duplicate", self.is_duplicate), ("rows", self.rows), *self.metadata.items()):
            if array.shape != (n,):
                raise DataError(f"Predictions: {name} has shape {array.shape}; {n} images need {(n,)}.")
        if len(self.paths) not in (0, n):
            raise DataError(f"Predictions: {len(self.paths)} paths for {n} images; give one an image, or none.")
        if n:
            _check_values(self.probabilities, self.labels, k)

    def __len__(self) -> int:
        return len(self.labels)

    def without_duplicates(self) -> Predictions:
        """Return the predictions of the images that have no pixel-identical twin in the training split."""
        return self.subset(~self.is_duplicate)

    def subset(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Predictions:
        """Return the images given by their positions (m,), in that order, or by a mask (n,)."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            probabilities=self.probabilities[numbers],
            labels=self.labels[numbers],
            is_duplicate=self.is_duplicate[numbers],
            rows=self.rows[numbers],
            paths=tuple(self.paths[i] for i in numbers) if self.paths else (),
            metadata={column: values[numbers] for column, values in self.metadata.items()},
        )

    def save(self, path: Path | str) -> None:
        """Write an .npz file; it appears whole or not at all.

        Raises:
            DataError: The file cannot be written.
        """
        path = Path(path)
        about = {
            "format": FORMAT,
            "label_names": self.label_set.names,
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "fingerprint": self.fingerprint,
            "selection": self.selection,
            "views": self.views,
            "metadata": list(self.metadata),
        }
        arrays: dict[str, NDArray[Any]] = {
            "probabilities": self.probabilities,
            "labels": self.labels,
            "is_duplicate": self.is_duplicate,
            "rows": self.rows,
            "paths": np.array(self.paths, dtype=np.str_),
            "about": np.array(json.dumps(about)),
            **{f"{COLUMN}{i}": values.astype(np.str_) for i, values in enumerate(self.metadata.values())},
        }
        try:
            with whole_file(path, is_contested=True) as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
        except OSError as error:
            raise DataError(f"Cannot write {path}: {error.strerror or error}.") from None

    @classmethod
    def load(cls, path: Path | str) -> Predictions:
        """Read a file that `save` wrote.

        Raises:
            DataError: The file is missing, damaged, too large or holds something else.
        """
        path = Path(path)
        arrays = _read(path)
        try:
            about = json.loads(str(arrays["about"]))
            if about["format"] != FORMAT:
                raise DataError(f"its format is {about['format']}, not {FORMAT}")
            return cls(
                probabilities=_typed(arrays, "probabilities", np.float32),
                labels=_typed(arrays, "labels", np.int64),
                label_set=LabelSet.of(about["label_names"]),
                is_duplicate=_typed(arrays, "is_duplicate", np.bool_),
                rows=_typed(arrays, "rows", np.int64),
                paths=tuple(str(p) for p in arrays["paths"]),
                # files of the first release say neither
                views=str(about.get("views", "one")),
                metadata={
                    str(column): arrays[f"{COLUMN}{i}"].astype(np.str_)
                    for i, column in enumerate(about.get("metadata", ()))
                },
                **{name: str(about[name]) for name in ("model", "dataset", "split", "fingerprint", "selection")},
            )
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path} is not a predictions file ({error}). Write one with `mien evaluate`.") from None


def _check_values(probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise DataError(f"Predictions: row {row} holds NaN or infinity; the model is broken, export it again.")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    wrong = (np.abs(sums - 1) > ROW_SUM_TOLERANCE) | (probabilities < -ROW_SUM_TOLERANCE).any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"Predictions: row {row} sums to {sums[row]:.4f}, its lowest is {probabilities[row].min():.4f};"
            " give probabilities, not logits."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"Predictions: labels run from {labels.min()} to {labels.max()}; {classes} labels need 0 to {classes - 1}."
        )


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_BYTES:
            raise DataError(f"{path} would unpack to {unpacked >> 20} MiB; the limit is {MAX_BYTES >> 20} MiB.")
        with np.load(path, allow_pickle=False) as file:
            columns = [name for name in file.files if name.startswith(COLUMN)]
            return {name: file[name] for name in (*ARRAYS, *columns)}
    except FileNotFoundError:
        raise DataError(f"No predictions file {path}. Write one with `mien evaluate`.") from None
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        RuntimeError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ):
        raise DataError(f"{path} is not a predictions file, or is damaged. Write one with `mien evaluate`.") from None


def _typed(arrays: dict[str, NDArray[Any]], name: str, kind: type[Any]) -> NDArray[Any]:
    if arrays[name].dtype != kind:
        raise DataError(f"{name} is {arrays[name].dtype}, not {np.dtype(kind)}")
    return arrays[name]
