"""The grid of a map: the position of each value in the image."""

import numpy as np
import pytest

from mien.core.errors import ModelError
from mien.explain.maps import ExplanationMap


def a_map(values, **more):
    return ExplanationMap("gradcam", "stage1", "happy", np.asarray(values, dtype=np.float32), **more)


def test_enlarging_does_not_move_or_flip_the_evidence():
    values = np.zeros((6, 9), dtype=np.float32)
    values[1, 6] = 1
    large = a_map(values).resized(60, 90)
    rows, columns = np.indices(large.shape)
    assert (large * (rows + 0.5)).sum() / large.sum() == pytest.approx(15, abs=1e-3)
    assert (large * (columns + 0.5)).sum() / large.sum() == pytest.approx(65, abs=1e-3)
    np.testing.assert_allclose(a_map(values[::-1, ::-1]).resized(60, 90), large[::-1, ::-1], atol=1e-6)


def test_a_stated_grid_is_obeyed():
    one = a_map([[1.0, 0.0, 3.0]], step=(1.0, 0.25), first=(0.5, 0.0625))
    places = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(one.resized(1, 16)[0], np.interp(places, [0.0625, 0.3125, 0.5625], [1, 0, 3]), atol=1e-6)


def test_where_the_evidence_lies_in_words():
    values = np.zeros((4, 8), dtype=np.float32)
    values[0, 7], values[3, 0] = 3, 1
    one = a_map(values)
    assert one.centre_of_mass() == pytest.approx((0.75 * 7.5 / 8 + 0.25 * 0.5 / 8, 0.75 / 8 + 0.25 * 7 / 8), abs=0.05)
    shares = one.quarters()
    assert shares["upper right"] == pytest.approx(0.75, abs=0.01)
    assert shares["lower left"] == pytest.approx(0.25, abs=0.01)
    assert sum(shares.values()) == pytest.approx(1)


def test_no_evidence_is_said_and_evidence_against_is_not_counted():
    against = a_map([[-1.0, -2.0]], is_signed=True)
    assert against.centre_of_mass() is None
    assert set(against.quarters().values()) == {0.0}


def test_a_broken_map_is_refused():
    with pytest.raises(ModelError, match="non-finite"):
        a_map([[np.nan]])
