"""Make a model's probabilities mean what they say: temperature scaling, and the threshold of "not a face"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A box is dropped at the smallest probability of "not a face" that costs at most this share of real faces, ...
FACES_LOST = 0.002
# ... but not below this: faces as they are met are less clear than those of a data set.
LOWEST_THRESHOLD = 0.1


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature T in [0.05, 20] for which softmax(logits / T) has the least mean log loss.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2. The loss has one minimum
    in 1 / T, so a golden-section search on log T finds it.

    Args:
        logits: (n, k).
        labels: (n,) class numbers.
    """
    scores = logits.astype(np.float64)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]))

    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return round(float(np.exp((low + high) / 2)), 4)


def choose_reject_threshold(reject: NDArray[np.float32], is_face: NDArray[np.bool_] | None) -> float:
    """Return the probability of "not a face" above which a box is dropped: 0.1, or more to lose 0.2 % of faces at most.

    Args:
        reject: (n,) probabilities on a validation split.
        is_face: (n,), False where annotators saw no face; None: all are faces.
    """
    faces = reject if is_face is None else reject[is_face]
    return round(max(LOWEST_THRESHOLD, float(np.quantile(faces, 1 - FACES_LOST))), 4)
