"""All scores of one predictions file, ready for JSON: for all images and for those without a twin."""

from __future__ import annotations

import math
from typing import Any

from mien.evaluation import metrics
from mien.evaluation.bootstrap import ROUNDS, bootstrap_intervals
from mien.evaluation.metrics import Counts
from mien.evaluation.predictions import Predictions


def score(predictions: Predictions, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any]:
    """Score predictions with every metric.

    Args:
        predictions: A model's probabilities on one split.
        rounds: Bootstrap rounds of the 95 % intervals; 0 leaves `intervals` empty.
        seed: Seed of the bootstrap.

    Returns:
        A JSON-ready dict. `accuracy`, `mean_class_accuracy`, `macro_f1`, `top2` are shares in [0, 1];
        `nll` is in nats; `confusion` has the truth in rows; a per-class value that is undefined is None.
        `without_twins` holds the same keys for the images without a pixel-identical twin in the training
        split; if every image has one, `n` is 0 there and all else None.

    Raises:
        DataError: There are no images.
    """
    rest = predictions.without_twins()
    scores = _score_images(predictions, rounds, seed)
    nothing = dict.fromkeys(scores) | {"n": 0}
    return {**scores, "without_twins": _score_images(rest, rounds, seed) if len(rest) else nothing}


def _score_images(predictions: Predictions, rounds: int, seed: int) -> dict[str, Any]:
    probabilities, labels = predictions.probabilities, predictions.labels
    names = predictions.label_set.names
    counts = metrics.confusion(labels, metrics.predicted(probabilities), len(names))
    intervals = bootstrap_intervals(probabilities, labels, rounds, seed=seed) if rounds else {}
    return {
        "model": predictions.model,
        "dataset": predictions.dataset,
        "split": predictions.split,
        "fingerprint": predictions.fingerprint,
        "selection": predictions.selection,
        "n": len(predictions),
        "accuracy": float(metrics.accuracy(counts)),
        "mean_class_accuracy": float(metrics.mean_class_accuracy(counts)),
        "macro_f1": float(metrics.macro_f1(counts)),
        "nll": metrics.nll(probabilities, labels),
        "ece": metrics.ece(probabilities, labels),
        "brier": metrics.brier(probabilities, labels),
        "top2": metrics.top2(probabilities, labels),
        "intervals": {name: list(bounds) for name, bounds in intervals.items()},
        "labels": list(names),
        "per_class": _per_class(counts, names),
        "confusion": counts.tolist(),
    }


def _per_class(counts: Counts, names: tuple[str, ...]) -> dict[str, dict[str, float | int | None]]:
    scores = metrics.per_class(counts)
    return {
        name: {
            "precision": _defined(scores.precision[i]),
            "recall": _defined(scores.recall[i]),
            "f1": _defined(scores.f1[i]),
            "n": int(scores.n[i]),
        }
        for i, name in enumerate(names)
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
