"""The most confident mistakes of a run, with their faces if the data set is available."""

from __future__ import annotations

import base64
import dataclasses
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec
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

MAX_SHOWN = 12
# Side of a shown face, in pixels.
FACE_SIZE = 72
Faces = NDArray[np.uint8]


# Only the last data set is kept: data sets are large, and runs of one data set mostly follow each other.
_load = lru_cache(maxsize=1)(load)


def find_faces(run: Run, positions: NDArray[np.intp], data: Path | None, warn: Warn) -> Faces | None:
    """Return the faces of some predictions of a run, or None if they are not available.

    They are shown only if the data set has the fingerprint of the predictions, so that no prediction gets another face.

    `positions`, (m,), count among the predictions. Without `data`, only data sets that need no path are read.
    """
    predictions = run.predictions
    if predictions is None:
        return None
    size, channels = run.number("recipe.network.input_size"), run.number("recipe.network.channels")
    crops = {f.name: run.number(f"recipe.crop.{f.name}") for f in dataclasses.fields(CropSpec)}
    crop = CropSpec(**{key: value for key, value in crops.items() if value is not None})
    frames = int(run.number("recipe.data.frames") or LoadOptions.frames)
    options = LoadOptions(image_size=int(size or 48), channels=int(channels or 1), crop=crop, frames=frames)
    try:
        is_path_needed = needs_path(predictions.dataset)
        if data is None and is_path_needed:
            return None
        dataset = _load(predictions.dataset, data if is_path_needed else None, options)
        rows = _matching_rows(dataset, predictions)
    except MienError as error:
        warn(f"no example faces for {run.folder}: {error}")
        return None
    return np.asarray(dataset.images[rows[positions]])


def confident_mistakes(predictions: Predictions, smallest: float = 0.0) -> NDArray[np.intp]:
    """Return the positions of wrong predictions with a probability of `smallest` or more, most confident first."""
    confidence = predictions.probabilities.max(axis=1)
    is_wrong = predicted(predictions.probabilities) != predictions.labels
    wrong = np.flatnonzero(is_wrong & (confidence >= smallest))
    return wrong[np.argsort(-confidence[wrong], kind="stable")]


def mistake_gallery(group: Group, data: Path | None, warn: Warn) -> Markup:
    """Return the most confident mistakes of a group's first run with predictions, each with its face."""
    run = next((run for run in group.runs if run.predictions is not None), None)
    if run is None or run.predictions is None:
        return NOTHING
    predictions = run.predictions
    positions = confident_mistakes(predictions)[:MAX_SHOWN]
    faces = find_faces(run, positions, data, warn) if len(positions) else None
    if faces is None:
        return NOTHING
    names, classes = predictions.label_set.names, predicted(predictions.probabilities)
    cards = []
    for face, i in zip(faces, positions, strict=True):
        annotated, apparent = names[predictions.labels[i]], names[classes[i]]
        text = f"A face annotated {annotated}, predicted {apparent}"
        image = element("img", src=data_url(face), alt=text, width=FACE_SIZE, height=FACE_SIZE)
        probability = f" {100 * predictions.probabilities[i, classes[i]]:.0f} %"
        caption = element("figcaption", element("b", apparent), probability, element("br"), f"annotated {annotated}")
        cards.append(element("figure", image, caption))
    return element("div", element("h4", "Most confident mistakes"), element("div", *cards, class_="faces"))


def data_url(face: Faces) -> str:
    """Return a face, (h, w) grey or (h, w, 3) RGB, as the data URL of a small PNG."""
    small = resize_face(face, FACE_SIZE, 1 if face.ndim == 2 else 3)
    _, data = cv2.imencode(".png", small if small.ndim == 2 else small[:, :, ::-1])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _matching_rows(dataset: FaceDataset, predictions: Predictions) -> NDArray[np.intp]:
    """Return the data set's row of each prediction; `DataError` if the fingerprints differ.

    Row numbers count in the whole data set, or within the split if the file was written right after training.
    """
    for numbers in (np.arange(len(dataset)), np.flatnonzero(dataset.splits == predictions.split)):
        if len(predictions) and predictions.rows.min() >= 0 and predictions.rows.max() < len(numbers):
            rows = numbers[predictions.rows]
            splits = np.full(len(rows), predictions.split, dtype=dataset.splits.dtype)
            if dataclasses.replace(dataset.subset(rows), splits=splits).fingerprint == predictions.fingerprint:
                return rows
    raise DataError(f"this '{dataset.name}' is not the data set of its predictions.")
