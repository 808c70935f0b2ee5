import numpy as np
import pytest
from planted_network import patch_maps, planted_faces

from mien.explain.baselines import random_map
from mien.explain.stability import SHIFTS, measure_stability, shift

ONES = np.ones(4, dtype=np.int64)


def brightness_maps(images, labels):
    return images[:, 0]


def test_a_map_that_moves_with_the_face_is_stable():
    images = planted_faces(4)
    found = measure_stability(brightness_maps, images, brightness_maps(images, ONES), ONES)
    np.testing.assert_allclose(found, 1, atol=1e-5)


def test_a_map_that_stays_where_it_is_while_the_face_moves_is_less_stable():
    images = planted_faces(4)
    found = measure_stability(patch_maps, images, patch_maps(images, ONES), ONES)
    assert (found < 0.9).all()
    assert (found > 0.3).all()


def test_random_maps_are_not_stable():
    calls = iter(range(100))

    def random_maps(images, labels):
        return np.stack([random_map(16, 16, next(calls)) for _ in images])

    images = planted_faces(4)
    assert np.abs(measure_stability(random_maps, images, random_maps(images, ONES), ONES)).max() < 0.2


def test_constant_maps_have_no_stability():
    images = planted_faces(4)
    flat = np.ones((4, 16, 16), dtype=np.float32)
    assert np.isnan(measure_stability(lambda i, _: flat, images, flat, ONES)).all()


@pytest.mark.parametrize(("down", "right"), SHIFTS)
def test_shifting_moves_by_one_pixel_repeats_the_border_and_can_be_undone(down, right):
    picture = np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6)
    moved = shift(picture, down, right)
    assert moved[0, 0, 2 + down, 2 + right] == picture[0, 0, 2, 2]
    np.testing.assert_array_equal(shift(moved, -down, -right)[..., 1:-1, 1:-1], picture[..., 1:-1, 1:-1])
    opened = {(1, 0): moved[..., 0, :], (-1, 0): moved[..., -1, :], (0, 1): moved[..., 0], (0, -1): moved[..., -1]}
    border = {(1, 0): picture[..., 0, :], (-1, 0): picture[..., -1, :], (0, 1): picture[..., 0],
              (0, -1): picture[..., -1]}  # fmt: skip
    np.testing.assert_array_equal(opened[down, right], border[down, right])
