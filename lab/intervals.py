"""95 % intervals of figures that are known only as counts, and of means over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mien.evaluation.bootstrap import ROUNDS, percentile_interval

# The normal quantile of a two-sided 95 % interval.
Z = 1.959964


class Counted(NamedTuple):
    """How many of n images are classified correctly."""

    right: int
    n: int

    @property
    def share(self) -> float:
        """The accuracy, 0 to 1."""
        return self.right / self.n


class Estimate(NamedTuple):
    """A difference of accuracies, -1 to 1, with the bounds of its interval."""

    value: float
    low: float
    high: float


def wilson(counted: Counted) -> tuple[float, float]:
    """Return the Wilson score interval of an accuracy.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    >>> [round(bound, 4) for bound in wilson(Counted(8, 10))]
    [0.4902, 0.9433]
    """
    n, share = counted.n, counted.share
    centre, width = share + Z**2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return (centre - width) / (1 + Z**2 / n), (centre + width) / (1 + Z**2 / n)


def effect_of_part(part: Counted, rest: Counted) -> Estimate:
    """Return how much the accuracy of `rest` changes when the images of `part` are scored with it.

    The change is the part's share of all images times the difference of the two accuracies. The interval is Newcombe's
    for a difference of independent proportions (his method 10), times the same share.

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    17, 1998.
    """
    weight = part.n / (part.n + rest.n)
    difference = part.share - rest.share
    (part_low, part_high), (rest_low, rest_high) = wilson(part), wilson(rest)
    below = math.hypot(part.share - part_low, rest_high - rest.share)
    above = math.hypot(part_high - part.share, rest.share - rest_low)
    return Estimate(weight * difference, weight * (difference - below), weight * (difference + above))


def mean_over_runs(values: Sequence[float]) -> Estimate:
    """Return the mean with its percentile bootstrap interval over runs, which are drawn with replacement."""
    drawn = np.random.default_rng(0).choice(np.asarray(values, dtype=np.float64), (ROUNDS, len(values)))
    return Estimate(float(np.mean(values)), *percentile_interval(drawn.mean(axis=1)))
