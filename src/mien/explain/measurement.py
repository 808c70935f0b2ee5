"""Measure a network's methods on faces of a data set, and keep the results in its run record."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mien
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.explain.assessment import Faces, Method
from mien.explain.faithfulness import Images, Labels, Maps
from mien.explain.methods import PARTS, STAGE_METHODS, Explainer
from mien.explain.randomization import Sanity, check_sanity
from mien.explain.regions import find_landmarks
from mien.inference.detectors import Detector
from mien.recipes.record import RunRecord

Measured = Mapping[str, Any]


def make_maps(explainer: Explainer, method: str, layer: str | None, images: Images, labels: Labels) -> Maps:
    """Return a method's maps at the pixels of the images: (n, h, w).

    Args:
        explainer: The network.
        method: One of its methods.
        layer: The stage, or the part's name for "parts"; None: the method's default.
        images: (n, c, h, w), normalised.
        labels: (n,) the classes to explain.

    Raises:
        ModelError: See `Explainer.explain`.
    """
    height, width = images.shape[2:]
    found = explainer.explain(images, method, layer, labels.tolist())
    return np.stack([one.resized(height, width) for one in found])


def measured_method(
    explainer: Explainer, name: str, layer: str | None = None, *, use_stability: bool = True, use_sanity: bool = True
) -> Method:
    """Return a network's method, ready to be measured.

    It is called `name@layer` if a layer is given and the method uses one, otherwise `name`. The sanity check requires
    a torch network.

    Raises:
        ModelError: There is no such method or layer, or not for this network.
    """
    explainer.check_method(name)
    use_sanity = use_sanity and explainer.network is not None
    layer = layer if name in (*STAGE_METHODS, PARTS) else None
    return Method(
        f"{name}@{layer}" if layer else name,
        layer or (explainer.layers[-1] if name in STAGE_METHODS else ""),
        functools.partial(make_maps, explainer, name, layer),
        check_sanity=functools.partial(_check_sanity, explainer, name, layer) if use_sanity else None,
        use_stability=use_stability,
    )


def _check_sanity(
    explainer: Explainer, name: str, layer: str | None, images: Images, labels: Labels
) -> tuple[Sanity, ...]:
    other = copy.deepcopy(explainer)
    return check_sanity(other.network, functools.partial(make_maps, other, name, layer), images, labels)


def draw_rows(dataset: FaceDataset, split: str, count: int, seed: int) -> NDArray[np.intp]:
    """Return the row numbers (m,) of at most `count` randomly drawn faces of a split, in order."""
    rows = np.flatnonzero(dataset.splits == split)
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:count])]


def prepare_faces(explainer: Explainer, dataset: FaceDataset, detector: Detector | None) -> tuple[Faces, float]:
    """Return the faces of a data set, labelled by the network's predictions, and the network's accuracy on them.

    Args:
        explainer: The network.
        dataset: The faces.
        detector: Finds landmarks; None: the regions are those of the mean face.
    """
    landmarks = [None if detector is None else find_landmarks(face, detector) for face in dataset.images]
    images = to_batch(list(dataset.images), explainer.card.input)
    labels = np.asarray(explainer.predict(images).argmax(axis=1), dtype=np.int64)
    annotated = [dataset.label_set.names[number] for number in dataset.labels]
    right = np.mean([explainer.labels[label] == name for label, name in zip(labels, annotated, strict=True)])
    return Faces.of(images, labels, landmarks), float(right)


def describe_measurement(explainer: Explainer, dataset: FaceDataset, seed: int, accuracy: float) -> dict[str, Any]:
    """Return what was measured on what, as JSON values."""
    return {
        "model": explainer.card.name,
        "network": explainer.card.network,
        "dataset": dataset.name,
        "split": str(dataset.splits[0]),
        "fingerprint": dataset.fingerprint,
        "seed": seed,
        "accuracy": round(accuracy, 6),
        "version": mien.__version__,
    }


def add_to_record(path: Path, measured: Measured) -> None:
    """Add measurements to a run's record.json, atomically.

    Args:
        path: The record.
        measured: JSON values with `dataset`, `split` and `methods`.

    Raises:
        MienError: The file is not a run record.
    """
    record = RunRecord.load(path)
    name = f"{measured['dataset']} {measured['split']}"
    record.explanations = {**record.explanations, name: merge(record.explanations.get(name), measured)}
    record.save(path)


def merge(earlier: object, measured: Measured) -> dict[str, Any]:
    """Return new measurements together with earlier ones of other methods on the same faces with the same settings."""
    if isinstance(earlier, dict) and isinstance(earlier.get("methods"), dict) and _same(earlier) == _same(measured):
        return {**measured, "methods": {**earlier["methods"], **measured["methods"]}}
    return dict(measured)


def _same(record: Measured) -> dict[str, Any]:
    """Return what must be equal for two measurements to be comparable."""
    return {name: value for name, value in record.items() if name not in ("methods", "version")}
