"""An interval for a share of few images, where a bootstrap of all right or all wrong answers has no width."""

from __future__ import annotations

import math

# The normal quantile of a two-sided 95 % interval.
Z = 1.959964


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share of n images.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    Args:
        share: 0 to 1.
        n: 1 or more.

    Examples:
        >>> [round(bound, 4) for bound in wilson_interval(0.8, 10)]
        [0.4902, 0.9433]
    """
    centre, width = share + Z**2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return (centre - width) / (1 + Z**2 / n), (centre + width) / (1 + Z**2 / n)
