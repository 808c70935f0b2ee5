"""The predictions file: all that scoring needs, so that scores can be computed without model or images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.whole_file import whole_file
from mien.evaluation.arrays import read_arrays

FORMAT = "mien-predictions-1"
KIND = "a predictions file of `mien evaluate`"
# Its name in a run folder.
PREDICTIONS = "predictions.npz"
ROW_SUM_TOLERANCE = 1e-3
# A column of metadata is stored under this and its position, as its name may contain any character.
COLUMN = "metadata_"
TYPES: dict[str, type[Any]] = {
    "probabilities": np.float32,
    "labels": np.int64,
    "is_duplicate": np.bool_,
    "rows": np.int64,
}
ORIGIN = ("model", "dataset", "split", "fingerprint", "selection")


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
        fingerprint: Identifies the version of the data set.
        is_duplicate: Whether a pixel-identical image is in the training split, (n,) bool.
        rows: The images' row numbers in the whole data set, (n,) int64.
        paths: The images' file names, (n,); empty if they are not files.
        selection: How the model's weights were chosen, from its card; "" if unknown.
        views: The views of each face: "one", "flip" or "ten-crop".
        left_out: The model's labels that are not scored, because the data set lacks them.
        folder: The name of the data set's folder, if it has no name of its own; "" for others.
        metadata: The data set's metadata by column, (n,) texts; "" if unknown.
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
    left_out: tuple[str, ...] = ()
    folder: str = ""
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
            raise DataError(f"Predictions: {len(self.paths)} paths for {n} images; expected one per image, or none.")
        if n:
            _check_values(self.probabilities, self.labels, k)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def data_title(self) -> str:
        """The data set in words: its name, and its folder's if all such data sets share the name."""
        return title_of(self.dataset, self.folder)

    def is_of_same_data(self, other: Predictions) -> bool:
        """Return whether both are of one data set, by its name and its folder's; older files do not name the folder."""
        is_same_folder = self.folder == other.folder or "" in (self.folder, other.folder)
        return self.dataset == other.dataset and (is_same_folder or self.fingerprint == other.fingerprint)

    def without_duplicates(self) -> Predictions:
        """Return the predictions of the images without a pixel-identical image in the training split."""
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

    def with_labels(self, label_set: LabelSet) -> Predictions:
        """Return the predictions over these labels, which include the present ones; others have probability 0."""
        places = [label_set.names.index(label) for label in self.label_set]
        probabilities = np.zeros((len(self), len(label_set)), dtype=np.float32)
        probabilities[:, places] = self.probabilities
        labels = np.array(places, dtype=np.int64)[self.labels]
        return replace(self, probabilities=probabilities, labels=labels, label_set=label_set)

    def save(self, path: Path | str) -> None:
        """Write an .npz file, all of it or nothing.

        Raises:
            DataError: The file cannot be written.
        """
        path = Path(path)
        about = {"format": FORMAT, "label_names": self.label_set.names, "metadata": list(self.metadata)}
        about |= {name: getattr(self, name) for name in (*ORIGIN, "folder", "views", "left_out")}
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in TYPES}
        arrays |= {"paths": np.array(self.paths, dtype=np.str_), "about": np.array(json.dumps(about))}
        arrays |= {f"{COLUMN}{i}": values.astype(np.str_) for i, values in enumerate(self.metadata.values())}
        try:
            with whole_file(path, is_contested=True) as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
        except OSError as error:
            raise DataError(f"Cannot write {path}: {error.strerror or error}.") from None

    @classmethod
    def load(cls, path: Path | str) -> Predictions:
        """Read a file that `save` wrote, or the one in a run folder.

        Raises:
            DataError: The file is missing, damaged, too large or something else.
        """
        path = Path(path)
        arrays = read_arrays(path / PREDICTIONS if path.is_dir() else path, KIND)
        try:
            about = json.loads(str(arrays["about"]))
            if about["format"] != FORMAT:
                raise DataError(f"its format is {about['format']}, not {FORMAT}")
            for name, kind in TYPES.items():
                if arrays[name].dtype != kind:
                    raise DataError(f"{name} is {arrays[name].dtype}, not {np.dtype(kind)}")
            # older files have neither folder, views, labels left out nor metadata
            columns = enumerate(about.get("metadata", ()))
            fields: dict[str, Any] = {name: arrays[name] for name in TYPES}
            fields |= {name: str(about[name]) for name in ORIGIN}
            return cls(
                **fields,
                label_set=LabelSet.of(about["label_names"]),
                paths=tuple(str(path) for path in arrays["paths"]),
                folder=str(about.get("folder", "")),
                views=str(about.get("views", "one")),
                left_out=tuple(map(str, about.get("left_out", ()))),
                metadata={str(column): arrays[f"{COLUMN}{i}"].astype(np.str_) for i, column in columns},
            )
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path} is not {KIND} ({error}).") from None


def title_of(dataset: str, folder: str) -> str:
    """Return a data set's name, with its folder's if it has no name of its own.

    >>> title_of("fer2013", ""), title_of("folder", "photos")
    ('fer2013', 'folder photos')
    """
    return f"{dataset} {folder}".rstrip()


def _check_values(probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise DataError(f"Predictions: row {row} contains NaN or infinity; the model is broken, export it again.")
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
