"""All scores of one predictions file, ready for JSON: for all images and for those without a duplicate."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.core.errors import DataError
from mien.evaluation import metrics
from mien.evaluation.bootstrap import bootstrap_intervals
from mien.evaluation.calibration import fit_temperature
from mien.evaluation.metrics import Floats, Labels, Probabilities
from mien.evaluation.predictions import ORIGIN, Predictions


def score(predictions: Predictions) -> dict[str, Any]:
    """Score predictions with every metric.

    Returns:
        A JSON-ready dict. `accuracy`, `mean_class_accuracy`, `macro_f1`, `weighted_f1`, `top2` and `top5` are shares in
        [0, 1]; `nll` is in nats; `confusion` has the truth in rows; an undefined per-class value is None.
        `without_duplicates` holds the same keys for the images without a pixel-identical image in the training split;
        if every image has one, `n` is 0 there and all else None.

    Raises:
        DataError: There are no images.
    """
    rest = predictions.without_duplicates()
    scores = _score_images(predictions)
    nothing = dict.fromkeys(scores) | {"n": 0}
    return {**scores, "without_duplicates": _score_images(rest) if len(rest) else nothing}


def score_calibrated(predictions: Predictions, fitted_on: Predictions | None = None) -> dict[str, Any]:
    """Score the calibration before and after temperature scaling, never on the images that it was fitted on.

    The temperature rescales the logarithms of probabilities, which are logits up to a constant per image; it changes no
    predicted class. If the probabilities already contain a temperature, the two are multiplied.

    Args:
        predictions: The predictions to score.
        fitted_on: The predictions to fit the temperature on, of another split or file. None: every second image of each
            label, in the file's order; the other half is scored.

    Returns:
        A JSON-ready dict: `temperature`, `fitted_on` (in words), `n_fitted`, `n` images scored, and `before` and
        `after`, each with `nll`, `ece` and `brier`.

    Raises:
        DataError: There are too few images, `fitted_on` has other labels, or it contains images that are scored.
    """
    if fitted_on is None:
        fitted_on, scored = _halves(predictions)
        source = f"every second image of each label of {predictions.data_title}, {predictions.split}"
    else:
        _check_apart(predictions, fitted_on)
        scored = predictions
        source = f"{fitted_on.data_title}, {fitted_on.split}"
    columns = scored.label_set.columns_from(fitted_on.label_set)
    labels = np.argsort(columns)[fitted_on.labels]
    logits = _log(fitted_on.probabilities[:, columns]).astype(np.float32)
    temperature = fit_temperature(logits, labels.astype(np.int64))
    scaled = np.exp(_log(scored.probabilities) / temperature)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return {
        "temperature": temperature,
        "fitted_on": source,
        "n_fitted": len(fitted_on),
        "n": len(scored),
        "before": _score_calibration(scored.probabilities, scored.labels),
        "after": _score_calibration(scaled, scored.labels),
    }


def _halves(predictions: Predictions) -> tuple[Predictions, Predictions]:
    """Return every second image of each label, and the others, both in the file's order."""
    if len(predictions) < 2:
        raise DataError(f"{len(predictions)} images given; fitting on one half and scoring the other needs 2 or more.")
    order = np.argsort(predictions.labels, kind="stable")
    return predictions.subset(np.sort(order[::2])), predictions.subset(np.sort(order[1::2]))


def _check_apart(predictions: Predictions, fitted_on: Predictions) -> None:
    if set(predictions.label_set) != set(fitted_on.label_set):
        raise DataError(
            f"The labels to fit the temperature on are {', '.join(fitted_on.label_set.names)}, those to score are"
            f" {', '.join(predictions.label_set.names)}; fit it on predictions with the same labels."
        )
    shared = len(np.intersect1d(predictions.rows, fitted_on.rows))
    if shared and predictions.is_of_same_data(fitted_on):
        raise DataError(
            f"{shared} of {len(predictions)} images would be both fitted on and scored; give the predictions of another"
            " split, or 'half' to fit on one half and score the other."
        )


def _log(probabilities: Probabilities) -> Floats:
    return np.log(np.maximum(probabilities.astype(np.float64), metrics.SMALLEST_PROBABILITY))


def _score_calibration(probabilities: Probabilities, labels: Labels) -> dict[str, float]:
    return {
        "nll": metrics.nll(probabilities, labels),
        "ece": metrics.ece(probabilities, labels),
        "brier": metrics.brier(probabilities, labels),
    }


def _score_images(predictions: Predictions) -> dict[str, Any]:
    probabilities, labels = predictions.probabilities, predictions.labels
    names = predictions.label_set.names
    counts = metrics.confusion(labels, metrics.predicted(probabilities), len(names))
    per_class = metrics.per_class(counts)
    return {
        **{name: getattr(predictions, name) for name in (*ORIGIN, "folder", "views")},
        "left_out": list(predictions.left_out),
        "n": len(predictions),
        **{name: float(value) for name, value in metrics.main_scores(counts).items()},
        "weighted_f1": float(metrics.weighted_f1(counts)),
        **_score_calibration(probabilities, labels),
        "top2": metrics.top(2, probabilities, labels),
        "top5": metrics.top(5, probabilities, labels),
        "intervals": {key: list(bounds) for key, bounds in bootstrap_intervals(probabilities, labels).items()},
        "labels": list(names),
        "per_class": {
            name: {key: metrics.defined(value[i]) for key, value in per_class._asdict().items()}
            | {"n": int(per_class.n[i])}
            for i, name in enumerate(names)
        },
        "confusion": counts.tolist(),
    }
