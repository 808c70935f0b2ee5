"""Splits a data set that has no split of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified_mask(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose about `share` of the rows of every label, at random but the same for the same seed.

    Per label the number is rounded; at least one row is chosen where a label has two or more, and at least
    one is left, so that no label is absent from either side. A label's choice does not depend on the other
    labels.

    Args:
        labels: (n,) class numbers, 0 or more.
        share: 0 to 1; 0 chooses none.
        seed: 0 or more.

    Returns:
        (n,) True for the chosen rows.
    """
    chosen = np.zeros(len(labels), dtype=np.bool_)
    if share <= 0:
        return chosen
    for label in np.unique(labels).tolist():
        rows = np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        chosen[rows[:count]] = True
    return chosen
