import math

import numpy as np
import pytest
from scipy import stats
from skimage.metrics import structural_similarity

from mien.explain.similarity import is_constant, pearson, spearman, ssim


def maps(seed=0, shape=(32, 40)):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=shape).astype(np.float32)
    return first, (0.6 * first + rng.normal(size=shape)).astype(np.float32)


def test_correlations_agree_with_another_implementation():
    first, second = maps()
    assert pearson(first, second) == pytest.approx(stats.pearsonr(first.ravel(), second.ravel()).statistic, abs=1e-6)
    tied = np.round(first), np.round(second)
    assert spearman(*tied) == pytest.approx(stats.spearmanr(tied[0].ravel(), tied[1].ravel()).statistic, abs=1e-9)


def test_structural_similarity_agrees_with_another_implementation():
    first, second = (np.abs(values) / np.abs(values).max() for values in maps())
    first, second = ((values - values.min()) / np.ptp(values) for values in (first, second))
    expected = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    # that implementation leaves out a border of five pixels
    assert ssim(first, second) == pytest.approx(expected, abs=0.02)


def test_similarities_know_equal_opposite_and_rescaled_maps():
    first, _ = maps()
    for measure in (pearson, spearman, ssim):
        assert measure(first, 3 * first + 2) == pytest.approx(1, abs=1e-6)
    assert pearson(first, -first) == pytest.approx(-1)
    assert spearman(first, -(first**3)) == pytest.approx(-1)
    assert ssim(first, -first) < 0.1


def test_a_constant_map_has_no_correlation():
    first, _ = maps()
    assert math.isnan(pearson(first, np.full_like(first, 3)))
    assert math.isnan(spearman(np.zeros_like(first), first))
    assert is_constant(np.full((4, 4), 0.1, dtype=np.float32))
    assert not is_constant(np.eye(4) * 1e-9)
