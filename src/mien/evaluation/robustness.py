"""How much of a model's accuracy remains on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from mien.data.dataset import FaceDataset
from mien.evaluation import metrics
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, Image, corrupt, find_corruption
from mien.evaluation.metrics import Probabilities
from mien.evaluation.predict import Progress, match_labels, predict_scores, predict_split
from mien.evaluation.predictions import Predictions
from mien.inference.model import Model


@dataclass(frozen=True)
class Point:
    """A model's scores at one severity; 0 is the clean data set.

    `level` is in the corruption's unit; `accuracy`, `mean_class_accuracy` and `accuracy_without_duplicates` are shares
    in [0, 1], the last None if every image has a duplicate in training; `kept` is the accuracy divided by that on the
    clean images (above 1 if the corruption helps), None if the clean accuracy is 0.
    """

    severity: int
    level: float
    accuracy: float
    mean_class_accuracy: float
    accuracy_without_duplicates: float | None
    kept: float | None


@dataclass(frozen=True)
class Curve:
    """One corruption's five points; `kept` is their mean."""

    unit: str
    points: tuple[Point, ...]
    kept: float | None


@dataclass(frozen=True)
class Robustness:
    """A model's accuracy on one split: clean, and under each corruption. `kept` is the mean over the curves."""

    model: str
    dataset: str
    split: str
    fingerprint: str
    selection: str
    n: int
    n_without_duplicates: int
    image_size: tuple[int, int]
    seed: int
    clean: Point
    corruptions: dict[str, Curve]
    kept: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the record: no dates, no paths."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Robustness:
        """Return what `to_json` wrote; `KeyError`, `TypeError` or another error if a part is missing or no number."""

        def point(content: dict[str, Any]) -> Point:
            numbers = {name: None if value is None else float(value) for name, value in content.items()}
            return Point(**numbers | {"severity": int(content["severity"])})  # type: ignore[arg-type]

        curves = {
            str(name): Curve(str(curve["unit"]), tuple(map(point, curve["points"])), curve["kept"])
            for name, curve in record["corruptions"].items()
        }
        height, width = record["image_size"]
        parts = {"image_size": (height, width), "clean": point(record["clean"]), "corruptions": curves}
        return cls(**record | parts)


def measure_robustness(  # noqa: PLR0913 - what is measured, and how
    model: Model,
    dataset: FaceDataset,
    split: str,
    *,
    names: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
    progress: Progress | None = None,
) -> Robustness:
    """Score a model on the images of a split and on corrupted copies of them, five severities per corruption.

    The images are corrupted at the size at which the data set was loaded, which is the network's input size. The
    random numbers depend on an image's row number in the whole data set.

    Args:
        model: The model.
        dataset: The whole data set, so that duplicates in the training split are found.
        split: The split to score.
        names: The corruptions, one or more.
        seed: Seed of the corruptions; 0 or more.
        progress: Called after each batch with the number of images in it.

    Raises:
        DataError: An unknown corruption, or what `predict_split` refuses.
    """
    corruptions = {name: find_corruption(name) for name in names}
    clean = predict_split(model, dataset, split, progress=progress)
    faces = dataset.split(split)
    reference = _score(clean, clean.probabilities, 0, 0.0, None)

    def measure(name: str, severity: int, level: float) -> Point:
        def change(image: Image, position: int) -> Image:
            return corrupt(image, name, severity, int(clean.rows[position]), seed)

        scores = predict_scores(model, faces, change=change, progress=progress)
        probabilities = match_labels(scores.probabilities, model.card, dataset.label_set)
        return _score(clean, probabilities, severity, level, reference.accuracy)

    curves = {}
    for name, corruption in corruptions.items():
        levels = zip(SEVERITIES, corruption.levels, strict=True)
        points = tuple(measure(name, severity, level) for severity, level in levels)
        curves[name] = Curve(corruption.unit, points, _mean([point.kept for point in points]))
    return Robustness(
        model=clean.model,
        dataset=clean.dataset,
        split=split,
        fingerprint=clean.fingerprint,
        selection=clean.selection,
        n=len(clean),
        n_without_duplicates=int((~clean.is_duplicate).sum()),
        image_size=(faces.images.shape[1], faces.images.shape[2]),
        seed=seed,
        clean=replace(reference, kept=1.0 if reference.accuracy else None),
        corruptions=curves,
        kept=_mean([curve.kept for curve in curves.values()]),
    )


def _score(
    clean: Predictions, probabilities: Probabilities, severity: int, level: float, clean_accuracy: float | None
) -> Point:
    """Score probabilities (n, k) for the images of `clean`."""
    labels, classes, keep = clean.labels, len(clean.label_set), ~clean.is_duplicate
    predicted = metrics.predicted(probabilities)
    counts = metrics.confusion(labels, predicted, classes)
    rest = metrics.accuracy(metrics.confusion(labels[keep], predicted[keep], classes)) if keep.any() else None
    accuracy = float(metrics.accuracy(counts))
    return Point(
        severity=severity,
        level=float(level),
        accuracy=round(accuracy, 6),
        mean_class_accuracy=round(float(metrics.mean_class_accuracy(counts)), 6),
        accuracy_without_duplicates=None if rest is None else round(float(rest), 6),
        kept=round(accuracy / clean_accuracy, 6) if clean_accuracy else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 6) if known else None
