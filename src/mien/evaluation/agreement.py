"""Agreement of a model, and of FER2013's own labels, with the majority of FER+'s ten annotators per image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FERPLUS_LABELS
from mien.data import votes
from mien.evaluation import metrics
from mien.evaluation.predictions import Predictions


def measure_agreement(
    predictions: Predictions, counts: NDArray[np.int64], labels: NDArray[np.integer[Any]]
) -> dict[str, Any]:
    """Compare a model's predictions on FER2013 with FER+'s majorities.

    Only images count whose majority (`votes.majority_distribution`) is a label of the predictions; contempt is not one
    of FER2013's seven. FER2013's own label is compared in the same way, as a second annotator: a model that is fitted
    to it is not expected to agree much better.

    Args:
        predictions: Of a split of FER2013, n images.
        counts: (m, 10) votes of all of FER2013, in the order of fer2013new.csv's columns.
        labels: (m,) FER2013's own labels, positions in `FER2013_LABELS`.

    Returns:
        A JSON-ready dict: `n` images that count and `n_left_out`; the shares of them on which `model` and `label` agree
        with the majority; `kappa_model` and `kappa_label`, Cohen's, None if undefined; `mistakes`, images on which the
        model contradicts the label, and `mistakes_backed`, those on which the majority agrees with the model;
        `per_class` by the majority's expression, shares `model` and `label` (None without images) and `n`.

    Raises:
        DataError: The predictions are not of this FER2013, or no image counts.
    """
    _check_origin(predictions, labels)
    majority = votes.majority_distribution(counts[predictions.rows])
    names = predictions.label_set.names
    columns = predictions.label_set.columns_from(FERPLUS_LABELS)
    # position in FER+'s order -> position in the predictions' order
    positions = np.full(len(FERPLUS_LABELS), -1)
    positions[columns] = np.arange(len(columns))
    truth = np.where(majority.any(axis=1), positions[majority.argmax(axis=1)], -1)
    keep = truth >= 0
    if not keep.any():
        raise DataError(f"None of the {len(predictions)} images has a majority of FER+'s annotators.")
    truth, own = truth[keep], predictions.labels[keep]
    predicted = metrics.predicted(predictions.probabilities)[keep]
    by_model, by_label = (metrics.confusion(truth, answers, len(names)) for answers in (predicted, own))
    is_mistake = predicted != own
    return {
        "n": int(keep.sum()),
        "n_left_out": int((~keep).sum()),
        "model": float(metrics.accuracy(by_model)),
        "label": float(metrics.accuracy(by_label)),
        "kappa_model": _kappa(by_model),
        "kappa_label": _kappa(by_label),
        "mistakes": int(is_mistake.sum()),
        "mistakes_backed": int((is_mistake & (predicted == truth)).sum()),
        "per_class": metrics.compare_recalls(names, model=by_model, label=by_label),
    }


def _check_origin(predictions: Predictions, labels: NDArray[np.integer[Any]]) -> None:
    if predictions.dataset != "fer2013":
        raise DataError(f"Predictions of '{predictions.dataset}' have no FER+ votes; expected predictions of fer2013.")
    rows = predictions.rows
    is_same = (rows >= 0) & (rows < len(labels))
    is_same &= labels[np.where(is_same, rows, 0)] == predictions.labels
    if not is_same.all():
        raise DataError(
            f"{int((~is_same).sum())} of {len(rows)} images are missing in this FER2013 or have other labels there; use"
            " the file that the predictions are of."
        )


def _kappa(counts: metrics.Counts) -> float | None:
    """Return Cohen's kappa of two annotators; None if both always give the same one label (Cohen, 1960)."""
    n = counts.sum()
    chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum() / n**2)
    return None if chance == 1 else (float(metrics.accuracy(counts)) - chance) / (1 - chance)
