"""Several models as one: the mean of their probabilities."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.core.errors import DataError
from mien.evaluation.metrics import predicted
from mien.evaluation.predictions import Predictions


def average(members: Sequence[Predictions]) -> Predictions:
    """Return the predictions of an ensemble: the mean probabilities of its members on the same images.

    Its `model` lists the members' names. Fingerprint and duplicates are those of the first member's images; the others'
    may have had another size.

    Args:
        members: Predictions of one split of one data set, two or more.

    Raises:
        DataError: The members were predicted on different images, labels or views.
    """
    first = members[0]
    for other in members[1:]:
        for what in ("dataset", "split", "views", "label_set"):
            if getattr(first, what) != getattr(other, what):
                raise DataError(f"'{first.model}' and '{other.model}' have other {what}; an ensemble has the same.")
        if not (np.array_equal(first.rows, other.rows) and np.array_equal(first.labels, other.labels)):
            raise DataError(f"'{first.model}' and '{other.model}' were predicted on other images of '{first.dataset}'.")
    mean = np.mean([member.probabilities for member in members], axis=0, dtype=np.float64)
    counts = Counter(member.model for member in members)
    return replace(
        first,
        probabilities=np.asarray(mean, dtype=np.float32),
        model=" + ".join(name if n == 1 else f"{n} x {name}" for name, n in counts.items()),
        selection=", ".join(dict.fromkeys(member.selection for member in members if member.selection)),
    )


def describe_members(members: Sequence[Predictions]) -> list[dict[str, str | float]]:
    """Return the name and the accuracy of each member."""
    return [
        {"model": one.model, "accuracy": float(np.mean(predicted(one.probabilities) == one.labels))} for one in members
    ]


def short_name(ensemble: Predictions, members: int) -> str:
    """Return a name for files: the number of members, and a hash of their probabilities."""
    return f"ensemble-of-{members}-{hashlib.sha256(ensemble.probabilities.tobytes()).hexdigest()[:8]}"
