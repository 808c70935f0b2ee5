"""Predictions as a network would have made them, for tests that need no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mien.core.expressions import FER2013_LABELS, LabelSet
from mien.evaluation.predictions import Predictions


def make_predictions(
    probabilities: ArrayLike, labels: Sequence[int], names: Sequence[str] = FER2013_LABELS.names, /, **changes: Any
) -> Predictions:
    """Return predictions of a small model on the validation split of fer2013; `changes` replace fields."""
    n = len(labels)
    fields: dict[str, Any] = {
        "probabilities": np.asarray(probabilities, dtype=np.float32),
        "labels": np.asarray(labels, dtype=np.int64),
        "label_set": LabelSet.of(names),
        "model": "small",
        "dataset": "fer2013",
        "split": "validation",
        "fingerprint": "abc",
        "is_duplicate": np.zeros(n, dtype=np.bool_),
        "rows": np.arange(n),
    }
    return Predictions(**(fields | changes))


def certain(classes: Sequence[int], labels: Sequence[int], names: Sequence[str], /, **changes: Any) -> Predictions:
    """Return predictions that give each image one class with certainty."""
    return make_predictions(np.eye(len(names))[np.asarray(classes, dtype=np.int64)], labels, names, **changes)
