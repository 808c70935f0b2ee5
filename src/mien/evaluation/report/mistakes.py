"""The most confident mistakes of a run, with their faces where the data set is at hand."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, MienError
from mien.core.image import resize_face
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.data.registry import load, needs_path
from mien.evaluation.metrics import predicted
from mien.evaluation.predictions import Predictions
from mien.evaluation.report.groups import Group
from mien.evaluation.report.markup import NOTHING, Markup, element
from mien.evaluation.report.runs import Run, Warn

SHOWN = 12
# Side of a shown face, in pixels of the file.
FACE_SIZE = 72
Faces = NDArray[np.uint8]


@dataclass
class FaceSource:
    """Finds the pictures of predictions in a data set, and says why where it cannot.

    Attributes:
        data: Folder or file of the data sets; None: the user named none, so only sets that need none are read.
        warn: Told in one line why faces are left out.
    """

    data: Path | None
    warn: Warn

    def __post_init__(self) -> None:
        # One set at a time is kept: the runs of one paper come after each other, and sets are large.
        self._key: tuple[str, LoadOptions] | None = None
        self._dataset: FaceDataset | None = None

    def find(self, run: Run, chosen: NDArray[np.intp]) -> Faces | None:
        """Return the faces of some predictions of a run, or None where they are not at hand.

        They are shown only if the data set's fingerprint is the one the predictions carry: a wrong face beside a
        prediction would be worse than none.

        Args:
            run: A run with predictions.
            chosen: Positions among the predictions, (m,).
        """
        predictions = run.predictions
        if predictions is None:
            return None
        try:
            if self.data is None and needs_path(predictions.dataset):
                return None
            dataset = self._load(run, predictions.dataset)
        except MienError as error:
            self.warn(f"no example faces for {run.folder}: {error}")
            return None
        rows = _fitting_rows(dataset, predictions)
        if rows is None:
            self.warn(f"no example faces for {run.folder}: the data set is not the one that its predictions are of.")
            return None
        return np.asarray(dataset.images[rows[chosen]])

    def _load(self, run: Run, name: str) -> FaceDataset:
        size, channels = run.number("recipe.network.input_size"), run.number("recipe.network.channels")
        options = LoadOptions(image_size=int(size or 48), channels=int(channels or 1))
        if self._dataset is None or self._key != (name, options):
            self._key, self._dataset = (name, options), None
            self._dataset = load(name, self.data if needs_path(name) else None, options)
        return self._dataset


def confident_mistakes(predictions: Predictions, shown: int = SHOWN) -> NDArray[np.intp]:
    """Return the positions of the wrong predictions with the largest probabilities, most confident first."""
    if not len(predictions):
        return np.empty(0, dtype=np.intp)
    wrong = np.flatnonzero(predicted(predictions.probabilities) != predictions.labels)
    sure = predictions.probabilities.max(axis=1)[wrong]
    return wrong[np.argsort(-sure, kind="stable")][:shown]


def mistake_gallery(group: Group, source: FaceSource) -> Markup:
    """Return the most confident mistakes of a group's first run with predictions, each with its face."""
    run = next((run for run in group.runs if run.predictions is not None), None)
    if run is None or run.predictions is None:
        return Markup("")
    chosen = confident_mistakes(run.predictions)
    faces = source.find(run, chosen) if len(chosen) else None
    if faces is None:
        return Markup("")
    predictions = run.predictions
    names, winners = predictions.label_set.names, predicted(predictions.probabilities)
    cards = []
    for face, i in zip(faces, chosen, strict=True):
        annotated, apparent = names[predictions.labels[i]], names[winners[i]]
        probability = predictions.probabilities[i, winners[i]]
        alternative = f"A face annotated {annotated}, predicted {apparent}"
        attributes = {"src": picture(face), "alt": alternative, "width": FACE_SIZE, "height": FACE_SIZE}
        words = (element("b", NOTHING, apparent), f" {probability:.0%}", element("br"), f"annotated {annotated}")
        cards.append(element("figure", NOTHING, element("img", attributes), element("figcaption", NOTHING, *words)))
    heading = element("h4", NOTHING, "Most confident mistakes")
    return element("div", NOTHING, heading, element("div", {"class": "faces"}, *cards))


def picture(face: Faces) -> str:
    """Return a face, (h, w) grey or (h, w, 3) RGB, as a data address of a small PNG."""
    small = resize_face(face, FACE_SIZE, 1 if face.ndim == 2 else 3)
    written, data = cv2.imencode(".png", small if small.ndim == 2 else small[:, :, ::-1])
    if not written:
        raise DataError(f"A face of shape {face.shape} cannot be written as PNG.")
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _fitting_rows(dataset: FaceDataset, predictions: Predictions) -> NDArray[np.intp] | None:
    """Return the data set's row of each prediction; None where the fingerprints differ.

    Row numbers count in the whole data set, or within the split where the file was written right after training.
    """
    candidates = (np.arange(len(dataset)), np.flatnonzero(dataset.splits == predictions.split))
    for numbers in candidates:
        if not len(predictions) or predictions.rows.min() < 0 or predictions.rows.max() >= len(numbers):
            continue
        rows = numbers[predictions.rows]
        splits = np.full(len(rows), predictions.split, dtype=dataset.splits.dtype)
        if replace(dataset.subset(rows), splits=splits).fingerprint == predictions.fingerprint:
            return rows
    return None
