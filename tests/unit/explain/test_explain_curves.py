import numpy as np
import pytest
from planted_network import SIDE, linear_network, patch_maps, patch_network, planted_faces

from mien.explain import curves as curves_module
from mien.explain.curves import (
    Curves,
    CurveSettings,
    centre_gaussian,
    compute_curves,
    mean_interval,
    random_map,
    rank_pixels,
)

ONES = np.ones(6, dtype=np.int64)


def random_maps(count):
    return np.stack([random_map(SIDE, SIDE, 100 + i) for i in range(count)])


@pytest.mark.parametrize("replacement", ["grey", "blur"])
def test_the_true_map_beats_random_and_centre_by_a_wide_margin(replacement):
    images = planted_faces(6)
    settings = CurveSettings(deletion=replacement, insertion=replacement)
    true, random, centre = (
        compute_curves(patch_network, images, maps, ONES, settings)
        for maps in (patch_maps(images, ONES), random_maps(6), np.stack([centre_gaussian(SIDE, SIDE)] * 6))
    )
    assert (true.areas("insertion") > random.areas("insertion") + 0.3).all()
    assert (true.areas("insertion") > centre.areas("insertion") + 0.1).all()
    assert (true.areas("deletion") < random.areas("deletion") / 5).all()


def test_curves_of_a_linear_network_have_their_closed_form():
    rng = np.random.default_rng(3)
    image = rng.normal(size=(1, 1, SIDE, SIDE)).astype(np.float32)
    weights = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
    # what replacing a pixel by the mean costs: the exact map of a linear network
    gain = (weights * (image[0, 0] - image.mean())).astype(np.float32)
    step = 1 / (SIDE * SIDE)
    settings = CurveSettings(step=step, insertion="grey")
    curves = compute_curves(linear_network(weights), image, gain[None], ONES[:1], settings)
    whole, empty = float((weights * image).sum()), float(image.mean() * weights.sum())
    lost = np.concatenate([[0], np.cumsum(np.sort(gain.ravel())[::-1])])
    np.testing.assert_allclose(curves.deletion[0], whole - lost, atol=1e-3)
    np.testing.assert_allclose(curves.insertion[0], empty + lost, atol=1e-3)
    expected = (whole - lost)[1:-1].sum() * step + (whole + empty) / 2 * step
    assert curves.areas("deletion")[0] == pytest.approx(expected, abs=1e-3)
    # for a linear network, what deletion loses is what insertion wins
    assert curves.areas("deletion")[0] + curves.areas("insertion")[0] == pytest.approx(whole + empty, abs=1e-3)


def test_batches_change_nothing_and_stay_near_their_size(monkeypatch):
    images, sizes = planted_faces(7), []

    def counting(batch):
        sizes.append(len(batch))
        return patch_network(batch)

    labels, maps = np.ones(7, dtype=np.int64), random_maps(7)
    monkeypatch.setattr(curves_module, "BATCH", 50)
    first = compute_curves(counting, images, maps, labels, CurveSettings())
    assert max(sizes) <= 50
    monkeypatch.setattr(curves_module, "BATCH", 1000)
    second = compute_curves(patch_network, images, maps, labels, CurveSettings())
    np.testing.assert_array_equal(first.deletion, second.deletion)


def test_equal_values_come_in_a_drawn_order_and_larger_ones_before_them():
    values = np.zeros((8, 8), dtype=np.float32)
    values[6, 1] = 1
    positions = rank_pixels(values, seed=5)
    assert positions[6, 1] == 0
    assert sorted(positions.ravel()) == list(range(64))
    halves = positions[:4].mean(), positions[4:].mean()
    assert abs(halves[0] - halves[1]) < 12, "in the order of rows the halves would be 32 apart"
    np.testing.assert_array_equal(positions, rank_pixels(values, seed=5))
    assert (positions != rank_pixels(values, seed=6)).any()


def test_areas_and_intervals_are_those_of_the_mean():
    shares = np.array([0, 0.5, 1.0])
    curves = Curves(shares, np.array([[1, 1, 1], [1, 0.5, 0]]), np.zeros((2, 3)))
    np.testing.assert_allclose(curves.areas("deletion"), [1, 0.5])
    values = np.random.default_rng(0).normal(0.4, 0.1, 400)
    low, high = mean_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.1 / 20, rel=0.15)
    assert mean_interval(values) == (low, high)
