"""Measure how much of a model's accuracy remains on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from mien.data.dataset import FaceDataset
from mien.evaluation import metrics
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt, find_corruption
from mien.evaluation.metrics import Probabilities
from mien.evaluation.occlusions import Image
from mien.evaluation.predict import Progress, match_labels, predict_scores, predict_split
from mien.evaluation.predictions import Predictions
from mien.inference.model import Model


def measure_robustness(  # noqa: PLR0913 - the options, by name
    model: Model,
    dataset: FaceDataset,
    split: str,
    *,
    names: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a model on the images of a split and on corrupted copies of them, five severities per corruption.

    The images are corrupted at the size at which the data set was loaded: the network's input size. An image's random
    numbers depend on its row number in the whole data set, so they are the same for every model.

    `dataset` is the whole data set, so that duplicates in the training split are found; `progress` is called after each
    batch with the number of images in it.

    Returns:
        A JSON-ready dict without dates or paths: `model`, `dataset`, `split`, `fingerprint`, `selection`, `n`,
        `n_without_duplicates`, `image_size` and `seed`; `clean`, a point; `corruptions`, each with the `unit` of its
        levels, five `points` and `kept`, their mean; and `kept`, the mean over all corruptions.

        A point has `severity` (0: clean) and `level`; `accuracy`, `mean_class_accuracy` and
        `accuracy_without_duplicates`, shares in [0, 1], the last None if every image has a duplicate in training; and
        `kept`, the accuracy divided by that on the clean images (above 1 if the corruption helps), None if that is 0.

    Raises:
        DataError: An unknown corruption, or what `predict_split` refuses.
    """
    corruptions = {name: find_corruption(name) for name in names}
    clean = predict_split(model, dataset, split, progress=progress)
    faces = dataset.split(split)
    reference = _score(clean, clean.probabilities, 0, 0.0, None)

    def measure(name: str, severity: int, level: float) -> dict[str, Any]:
        def change(image: Image, position: int) -> Image:
            return corrupt(image, name, severity, int(clean.rows[position]), seed)

        scores = predict_scores(model, faces, change=change, progress=progress)
        probabilities = match_labels(scores.probabilities, model.card, clean.label_set)
        return _score(clean, probabilities, severity, level, reference["accuracy"])

    curves: dict[str, dict[str, Any]] = {}
    for name, corruption in corruptions.items():
        levels = zip(SEVERITIES, corruption.levels, strict=True)
        points = [measure(name, severity, level) for severity, level in levels]
        curves[name] = {"unit": corruption.unit, "points": points, "kept": _mean([p["kept"] for p in points])}
    return {
        "model": clean.model,
        "dataset": clean.dataset,
        "folder": clean.folder,
        "split": split,
        "fingerprint": clean.fingerprint,
        "selection": clean.selection,
        "n": len(clean),
        "n_without_duplicates": int((~clean.is_duplicate).sum()),
        "image_size": list(faces.images.shape[1:3]),
        "seed": seed,
        "clean": reference | {"kept": 1.0 if reference["accuracy"] else None},
        "corruptions": curves,
        "kept": _mean([curve["kept"] for curve in curves.values()]),
    }


def _score(
    clean: Predictions, probabilities: Probabilities, severity: int, level: float, clean_accuracy: float | None
) -> dict[str, Any]:
    """Return the scores of probabilities (n, k) for the images of `clean`."""
    labels, classes, keep = clean.labels, len(clean.label_set), ~clean.is_duplicate
    predicted = metrics.predicted(probabilities)
    counts = metrics.confusion(labels, predicted, classes)
    rest = metrics.accuracy(metrics.confusion(labels[keep], predicted[keep], classes)) if keep.any() else None
    accuracy = float(metrics.accuracy(counts))
    return {
        "severity": severity,
        "level": float(level),
        "accuracy": round(accuracy, 6),
        "mean_class_accuracy": round(float(metrics.mean_class_accuracy(counts)), 6),
        "accuracy_without_duplicates": None if rest is None else round(float(rest), 6),
        "kept": round(accuracy / clean_accuracy, 6) if clean_accuracy else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 6) if known else None
