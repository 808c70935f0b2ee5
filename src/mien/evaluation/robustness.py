"""How much of a model's accuracy is kept when its pictures get worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.data.dataset import FaceDataset
from mien.evaluation import metrics
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt, find_corruption
from mien.evaluation.predict import predict_dataset
from mien.evaluation.predictions import Predictions
from mien.inference.model import ExpressionModel

Progress = Callable[[int], None]
# Spoilt pictures held at once: 300 MB at 224 x 224 in colour.
CHUNK = 2048


@dataclass(frozen=True)
class Point:
    """What a model does at one severity.

    `level` is in the corruption's unit; `accuracy`, `mean_class_accuracy` and `accuracy_without_duplicates` are shares
    in [0, 1], the last None where every image has a twin in training; `kept` is the accuracy over that of the clean
    pictures (above 1 where the corruption helps), None where the clean accuracy is 0.
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


def measure_robustness(  # noqa: PLR0913 - what is measured, and how
    model: ExpressionModel,
    dataset_split: FaceDataset,
    is_duplicate: NDArray[np.bool_],
    *,
    rows: NDArray[np.int64] | None = None,
    names: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
    progress: Progress | None = None,
) -> Robustness:
    """Score a model on clean pictures and on spoilt copies of them, five severities a corruption.

    The pictures are spoilt at the size they have in the data set as loaded, which is the network's input size.

    Args:
        model: The model.
        dataset_split: Images and labels of one split, n of them.
        is_duplicate: (n,) whether a pixel-identical image stands in the training split.
        rows: (n,) row numbers in the whole data set, on which chance hangs; 0..n-1 when not given.
        names: Which corruptions; all when not given.
        seed: Of the corruptions; 0 or more.
        progress: Called with the number of images after each batch that was scored.

    Raises:
        DataError: No image, no corruption, an unknown one, or what `predict_dataset` refuses.
    """
    if not names or len(set(names)) != len(names):
        raise DataError(
            f"Corruptions '{', '.join(names)}' given; expected one or more of {', '.join(CORRUPTIONS)}, once."
        )
    if seed < 0:
        raise DataError(f"Seed {seed} is negative; a whole number from 0 is expected.")
    numbers = np.arange(len(dataset_split), dtype=np.int64) if rows is None else rows
    corruptions = {name: find_corruption(name) for name in names}
    clean = predict_dataset(model, dataset_split, is_duplicate, rows=numbers, progress=progress)
    answers = metrics.predicted(clean.probabilities)
    reference = _point(clean, answers, 0, 0.0, None)
    curves = {}
    for name, corruption in corruptions.items():
        points = []
        for severity in SEVERITIES:
            answers = _answer_spoilt(model, dataset_split, numbers, (name, severity, seed), progress)
            points.append(_point(clean, answers, severity, corruption.levels[severity - 1], reference.accuracy))
        curves[name] = Curve(corruption.unit, tuple(points), _mean([point.kept for point in points]))
    return Robustness(
        model=clean.model,
        dataset=clean.dataset,
        split=clean.split,
        fingerprint=clean.fingerprint,
        selection=clean.selection,
        n=len(clean),
        n_without_duplicates=int((~is_duplicate).sum()),
        image_size=(dataset_split.images.shape[1], dataset_split.images.shape[2]),
        seed=seed,
        clean=replace(reference, kept=1.0 if reference.accuracy else None),
        corruptions=curves,
        kept=_mean([curve.kept for curve in curves.values()]),
    )


def _answer_spoilt(
    model: ExpressionModel,
    faces: FaceDataset,
    numbers: NDArray[np.int64],
    how: tuple[str, int, int],
    progress: Progress | None,
) -> NDArray[np.intp]:
    """Return the model's answers (n,) on copies spoilt by `how`, (name, severity, seed), some at a time."""
    name, severity, seed = how
    answers = []
    for start in range(0, len(faces), CHUNK):
        some = faces.subset(np.arange(start, min(start + CHUNK, len(faces))))
        pairs = zip(some.images, numbers[start : start + CHUNK].tolist(), strict=True)
        spoilt = np.stack([corrupt(image, name, severity, number, seed) for image, number in pairs])
        no_twin = np.zeros(len(some), dtype=np.bool_)
        predictions = predict_dataset(model, replace(some, images=spoilt), no_twin, progress=progress)
        answers.append(metrics.predicted(predictions.probabilities))
    return np.concatenate(answers)


def _point(
    clean: Predictions, answers: NDArray[np.intp], severity: int, level: float, clean_accuracy: float | None
) -> Point:
    """Score one pass over the pictures of `clean`; `clean_accuracy` None: this is the clean one."""
    labels, classes, keep = clean.labels, len(clean.label_set), ~clean.is_duplicate
    counts = metrics.confusion(labels, answers, classes)
    rest = metrics.accuracy(metrics.confusion(labels[keep], answers[keep], classes)) if keep.any() else None
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
