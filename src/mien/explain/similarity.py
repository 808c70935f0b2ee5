"""Similarity of two maps: Pearson's and Spearman's correlation, and structural similarity."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]
# Wang et al. 2004, section III-B: a Gaussian window of 11 x 11 with this standard deviation, and K1, K2.
WINDOW, SIGMA = 11, 1.5
STEADY_LIGHT, STEADY_CONTRAST = 0.01, 0.03


def is_constant(values: Values) -> bool:
    """Tell whether all values of a map are equal, up to rounding."""
    spread = float(np.ptp(values))
    return spread <= 1e-6 * float(np.abs(values).max(initial=0.0))


def pearson(first: Values, second: Values) -> float:
    """Return the correlation of two arrays of the same shape, in [-1, 1]; NaN if one is constant."""
    if is_constant(first) or is_constant(second):
        return float("nan")
    return float(np.corrcoef(first.ravel().astype(np.float64), second.ravel().astype(np.float64))[0, 1])


def spearman(first: Values, second: Values) -> float:
    """Return the rank correlation of two arrays of the same shape, in [-1, 1]; NaN if one is constant.

    Ties get their mean rank (Spearman, "The proof and measurement of association between two things", 1904).
    """
    if is_constant(first) or is_constant(second):
        return float("nan")
    return pearson(_ranks(first), _ranks(second))


def ssim(first: Values, second: Values) -> float:
    """Return the mean structural similarity of two maps (h, w), in [-1, 1]; each is scaled to [0, 1] first.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004, Eq. (13) and (17), with population variances and mirrored borders.
    """
    one, other = _scaled(first), _scaled(second)
    mean_one, mean_other = _smooth(one), _smooth(other)
    variances = _smooth(one * one) - mean_one**2 + _smooth(other * other) - mean_other**2
    covariance = _smooth(one * other) - mean_one * mean_other
    light = (2 * mean_one * mean_other + STEADY_LIGHT**2) / (mean_one**2 + mean_other**2 + STEADY_LIGHT**2)
    structure = (2 * covariance + STEADY_CONTRAST**2) / (variances + STEADY_CONTRAST**2)
    return float((light * structure).mean())


def _ranks(values: Values) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse.ravel()])


def _scaled(values: Values) -> NDArray[np.float64]:
    shifted = np.asarray(values, dtype=np.float64) - values.min()
    return np.asarray(shifted / max(float(shifted.max()), 1e-12))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float64)
