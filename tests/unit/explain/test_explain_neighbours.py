import numpy as np
import pytest

from mien.core.errors import DataError
from mien.explain.neighbours import find_neighbours


def features(n=50, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_neighbours_are_those_of_the_smallest_angle():
    known = features()
    query = known[[7, 30]] * 40 + 0.01
    rows, distances = find_neighbours(query, known, 5)
    assert rows[:, 0].tolist() == [7, 30]
    cosines = known @ query[0] / np.linalg.norm(known, axis=1) / np.linalg.norm(query[0])
    np.testing.assert_array_equal(rows[0], np.argsort(-cosines)[:5])
    np.testing.assert_allclose(distances[0], 1 - np.sort(cosines)[::-1][:5], atol=1e-6)
    assert distances[0, 0] == pytest.approx(0, abs=1e-4)


def test_ties_keep_their_order_and_features_of_length_zero_are_far():
    known = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [1, 0]], dtype=np.float32)
    (rows,), (distances,) = find_neighbours(np.array([[2, 0]], np.float32), known, 5)
    assert rows.tolist() == [0, 1, 4, 2, 3]
    assert distances.tolist() == [0, 0, 0, 1, 1]


def test_too_many_neighbours_and_broken_features_are_refused():
    with pytest.raises(DataError, match="expected 1 to 50"):
        find_neighbours(features(1), features(), 51)
    broken = features()
    broken[3, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        find_neighbours(features(1), broken, 3)
