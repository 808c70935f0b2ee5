"""Draws splits: a share per label, parts of exact sizes, and parts that keep groups of images together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEFT_OUT = ""


def stratified_mask(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose about `share` of the rows of every label, at random by `seed`.

    The number per label is rounded. Of a label with two or more rows, at least one is chosen and at least one is not.
    A label's choice does not depend on the other labels.

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


def apportion(labels: NDArray[np.int64], sizes: Sequence[int], seed: int) -> NDArray[np.int64]:
    """Distribute the rows over parts of exactly these sizes, every label in nearly the same proportions.

    Label by label, in random order within a label, each row goes to the part that is furthest below its share so far.

    Args:
        labels: (n,) class numbers, 0 or more.
        sizes: (p,) number of images of each part, at most n together.
        seed: 0 or more.

    Returns:
        (n,) part of each row, 0 to p - 1; `p` for the remaining rows.
    """
    n = len(labels)
    wanted = np.array([*sizes, n - sum(sizes)], dtype=np.float64)
    order = np.concatenate(
        [
            np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))
            for label in np.unique(labels).tolist()
        ]
    )
    parts = np.empty(n, dtype=np.int64)
    given = np.zeros(len(wanted))
    for place, row in enumerate(order.tolist(), start=1):
        part = int(np.argmax(wanted * (place / n) - given))
        given[part] += 1
        parts[row] = part
    return parts


def assign_groups(
    groups: NDArray[np.str_], labels: NDArray[np.int64], sizes: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Assign every group of images (a person's, a sequence's) to one part, so that parts have about their sizes.

    Groups are assigned in descending order of their number of images (ties at random), each to the part in which the
    sum of squared shares of the labels, divided by the part's size, grows least.

    Args:
        groups: (n,) the group of each image.
        labels: (n,) class numbers, 0 or more.
        sizes: (p,) in any unit, above 0; at most as many as there are groups.
        seed: 0 or more.

    Returns:
        (n,) part of each row, 0 to p - 1; none is empty.
    """
    _, number_of = np.unique(groups, return_inverse=True)
    table = np.zeros((number_of.max() + 1, labels.max() + 1))
    np.add.at(table, (number_of, labels), 1)
    shuffled = np.random.default_rng(seed).permutation(len(table))
    order = shuffled[np.argsort(-table[shuffled].sum(axis=1), kind="stable")]
    totals = np.maximum(table.sum(axis=0), 1)
    shares = np.asarray(sizes, dtype=np.float64) / np.mean(sizes)
    filled = np.zeros((len(shares), table.shape[1]))
    part_of = np.empty(len(table), dtype=np.int64)
    for place, number in enumerate(order.tolist()):
        growth = (((filled + table[number]) ** 2 - filled**2) / totals**2).sum(axis=1) / shares
        # the first groups go to one part each, so that none stays empty
        part = place if place < len(shares) else int(np.argmin(growth))
        filled[part] += table[number]
        part_of[number] = part
    return part_of[number_of]


def subject_mask(subjects: NDArray[np.str_], labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose one fold of 1 / share of the people; return (n,) True for their rows, none if there is one person."""
    people = len(np.unique(subjects))
    if share <= 0 or people < 2:
        return np.zeros(len(subjects), dtype=np.bool_)
    folds = min(max(round(1 / share), 2), people)
    return np.asarray(assign_groups(subjects, labels, [1] * folds, seed) == 0, dtype=np.bool_)
