"""How far a model, and FER2013's own labels, agree with the majority of FER+'s ten taggers an image."""

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
    """Compare a model's answers on FER2013 with FER+'s majorities.

    Only images with a majority for an expression that the predictions know count (`votes.majority_distribution`;
    contempt is none of FER2013's seven). FER2013's own label is compared with the majority in the same way: it is a
    second annotator, and a model that is fitted to it is not expected to agree much better.

    Args:
        predictions: Of a split of FER2013, n images.
        counts: (m, 10) votes of all of FER2013, in the order of fer2013new.csv's columns.
        labels: (m,) FER2013's own labels, positions in `FER2013_LABELS`.

    Returns:
        A JSON-ready dict: `n` images that count and `n_left_out`; shares of them `model` and `label` that agree with
        the majority; `kappa_model` and `kappa_label`, Cohen's, None where undefined; `mistakes`, images on which the
        model contradicts the label, and `mistakes_backed`, how many of them the majority decides for the model;
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
        raise DataError(f"None of the {len(predictions)} images has a majority of FER+'s taggers.")
    truth = truth[keep]
    winners, own = metrics.predicted(predictions.probabilities)[keep], predictions.labels[keep]
    by_model, by_label = (metrics.confusion(truth, answers, len(names)) for answers in (winners, own))
    mistakes = winners != own
    recalls = metrics.per_class(by_model), metrics.per_class(by_label)
    return {
        "n": int(keep.sum()),
        "n_left_out": int((~keep).sum()),
        "model": float(metrics.accuracy(by_model)),
        "label": float(metrics.accuracy(by_label)),
        "kappa_model": _kappa(by_model),
        "kappa_label": _kappa(by_label),
        "mistakes": int(mistakes.sum()),
        "mistakes_backed": int((mistakes & (winners == truth)).sum()),
        "per_class": {
            name: {
                "model": metrics.defined(recalls[0].recall[i]),
                "label": metrics.defined(recalls[1].recall[i]),
                "n": int(recalls[0].n[i]),
            }
            for i, name in enumerate(names)
        },
    }


def _check_origin(predictions: Predictions, labels: NDArray[np.integer[Any]]) -> None:
    if predictions.dataset != "fer2013":
        raise DataError(f"Predictions of '{predictions.dataset}' have no FER+ votes; expected predictions of fer2013.")
    rows = predictions.rows
    if len(rows) and (rows.min() < 0 or rows.max() >= len(labels)):
        raise DataError(
            f"The predictions name rows {rows.min()} to {rows.max()}; this FER2013 has {len(labels)} rows. Use the same"
            " file."
        )
    wrong = int((labels[rows] != predictions.labels).sum())
    if wrong:
        raise DataError(
            f"This FER2013 labels {wrong} of {len(rows)} images otherwise than the predictions; use the same file."
        )


def _kappa(counts: metrics.Counts) -> float | None:
    """Return Cohen's kappa of two annotators; None where both always say the same one thing (Cohen, 1960)."""
    n = counts.sum()
    chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum() / n**2)
    return None if chance == 1 else (float(metrics.accuracy(counts)) - chance) / (1 - chance)
