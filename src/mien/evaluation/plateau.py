"""When a training run stopped improving, read from its curve.

SPAYOLO's Table 1 has an "epoch to plateau" without saying how it was read. The rule here: means of five consecutive
epochs' validation accuracy; the plateau begins at the last epoch of the first five whose mean is within half a point of
the highest such mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

WINDOW = 5
TOLERANCE = 0.005


def plateau_epoch(accuracies: Sequence[float]) -> int | None:
    """Return the epoch, counted from 1, at which the plateau begins; None for fewer than ten epochs.

    >>> plateau_epoch([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6])
    10

    Args:
        accuracies: Validation accuracy after each epoch, as shares of 1.
    """
    if len(accuracies) < 2 * WINDOW:
        return None
    means = [fmean(accuracies[first : first + WINDOW]) for first in range(len(accuracies) - WINDOW + 1)]
    return next(i for i, value in enumerate(means) if value >= max(means) - TOLERANCE) + WINDOW
