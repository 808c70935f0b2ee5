"""95 % intervals of figures that are known only as counts, and of means over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mien.evaluation.bootstrap import ROUNDS, percentile_interval
from mien.evaluation.proportions import wilson_interval


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


def effect_of_part(part: Counted, rest: Counted) -> Estimate:
    """Return how much the accuracy of `rest` changes when the images of `part` are scored with it.

    The change is the part's share of all images times the difference of the two accuracies. The interval is Newcombe's
    for a difference of independent proportions (his method 10), times the same share.

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    17, 1998.
    """
    weight = part.n / (part.n + rest.n)
    difference = part.share - rest.share
    (part_low, part_high), (rest_low, rest_high) = (
        wilson_interval(part.share, part.n),
        wilson_interval(rest.share, rest.n),
    )
    below = math.hypot(part.share - part_low, rest_high - rest.share)
    above = math.hypot(part_high - part.share, rest.share - rest_low)
    return Estimate(weight * difference, weight * (difference - below), weight * (difference + above))


def mean_over_runs(values: Sequence[float]) -> Estimate:
    """Return the mean with its percentile bootstrap interval over runs, which are drawn with replacement."""
    drawn = np.random.default_rng(0).choice(np.asarray(values, dtype=np.float64), (ROUNDS, len(values)))
    return Estimate(float(np.mean(values)), *percentile_interval(drawn.mean(axis=1)))


class Paired(NamedTuple):
    """The mean of paired differences with the bounds of its 95 % interval, and the p-value of the paired t-test."""

    mean: float
    low: float
    high: float
    p: float


def paired_test(differences: Sequence[float]) -> Paired | None:
    """Return Student's paired t-test of differences, such as those of runs with the same seed; None for fewer than two.

    >>> [round(value, 3) for value in paired_test([0.01, 0.02, 0.03])]
    [0.02, -0.005, 0.045, 0.074]
    """
    n = len(differences)
    if n < 2:
        return None
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) / math.sqrt(n)
    if not error:
        return Paired(mean, mean, mean, 1.0 if not mean else 0.0)
    low, high = 0.0, 1e6  # the t beyond which 5 % of the distribution lie, by bisection
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _two_sided(middle, n - 1) > 0.05 else (low, middle)
    return Paired(mean, mean - low * error, mean + low * error, _two_sided(abs(mean) / error, n - 1))


def _two_sided(t: float, freedom: int) -> float:
    """Return the share of Student's distribution beyond -t and t.

    With t = sqrt(freedom) tan(a), the density in a is proportional to cos(a)^(freedom - 1).
    """
    angles = np.linspace(math.atan(t / math.sqrt(freedom)), math.pi / 2, 20_001)
    scale = math.gamma((freedom + 1) / 2) / (math.sqrt(math.pi) * math.gamma(freedom / 2))
    return float(2 * scale * np.trapezoid(np.cos(angles) ** (freedom - 1), angles))
