"""Wilson's interval of a share."""

import pytest

from mien.evaluation.proportions import wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "low", "high"), [(0, 20, 0, 0.1611), (20, 20, 0.8389, 1), (8, 10, 0.4902, 0.9433)]
)
def test_values(right, n, low, high):
    assert wilson_interval(right / n, n) == pytest.approx((low, high), abs=1e-4)


def test_it_holds_the_share_and_narrows_with_more_images():
    widths = []
    for n in (10, 100, 1000):
        low, high = wilson_interval(0.9, n)
        assert 0 < low < 0.9 < high < 1
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
