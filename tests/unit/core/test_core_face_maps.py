from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.core.detector_card import DetectorCard
from mien.core.face_maps import BORDER, find_faces, levels, read_faces, suppress

CARD = DetectorCard(name="test", slope=2.0, offset=-1.0, threshold=0.5)
BUDGET = 4_000_000


def empty_maps(height: int, width: int) -> NDArray[np.float32]:
    maps = np.zeros((6, height // 8, width // 8), np.float32)
    maps[0] = -20
    return maps


def test_the_smallest_face_comes_to_the_side_that_the_network_wants() -> None:
    found = list(levels(np.zeros((480, 640), np.uint8), CARD, smallest_face=40, budget=BUDGET))
    assert [scale for _, scale, _ in found] == [0.5, 0.25, 0.125, 0.0625]
    assert [level.shape for level, _, _ in found] == [(272, 352), (152, 192), (96, 112), (64, 72)]
    assert {offset for _, _, offset in found} == {BORDER}


def test_levels_show_the_image_in_a_reflecting_border() -> None:
    ramp = np.tile(np.arange(0, 240, dtype=np.uint8), (100, 1))
    level, scale, offset = next(levels(ramp, CARD, smallest_face=20, budget=BUDGET))
    assert scale == 1
    assert np.array_equal(level[offset : offset + 100, offset : offset + 240], ramp)
    assert level[0, :offset].tolist() == list(range(offset, 0, -1))
    assert all(side % 8 == 0 for side in level.shape)


@pytest.mark.parametrize("shape", [(101, 67), (64, 99), (33, 32)])
def test_every_level_is_at_its_scale_even_where_sides_are_odd(shape: tuple[int, int]) -> None:
    ramp = np.tile(np.arange(shape[1], dtype=np.uint8) * 2, (shape[0], 1))
    for level, scale, offset in levels(ramp, CARD, smallest_face=20, budget=BUDGET):
        inner = level[offset + 4, offset : offset + int(shape[1] * scale)]
        centres = (np.arange(len(inner)) + 0.5) / scale - 0.5  # of the level's pixels, in the image's
        assert inner == pytest.approx(2 * centres, abs=2)


def test_a_large_image_stays_within_the_budget() -> None:
    for shape in ((4000, 5000), (300, 5000), (5000, 300)):
        first, scale, _ = next(levels(np.zeros(shape, np.uint8), CARD, smallest_face=20, budget=300_000))
        assert 0.8 * 300_000 < first.size <= 300_000
        assert scale < 1


def test_a_small_image_is_enlarged_but_not_without_limit() -> None:
    level, scale, _ = next(levels(np.zeros((20, 20), np.uint8), CARD, smallest_face=1, budget=BUDGET))
    assert scale == 2
    assert level.shape == (72, 72)


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1), (15, 15), (18, 300_000)])
def test_images_too_small_for_a_face_have_no_level(shape: tuple[int, int]) -> None:
    assert list(levels(np.zeros(shape, np.uint8), CARD, smallest_face=24, budget=100_000)) == []


def test_a_cell_is_read_as_a_face_in_pixels_of_the_image() -> None:
    maps = empty_maps(64, 96)
    maps[:, 2, 5] = [1.5, 0.25, -0.5, math.log(35 / 28), 3 * math.sin(0.5), 3 * math.cos(0.5)]
    (row,) = read_faces(maps, 0.5, 16, CARD, 0.5)
    assert row == pytest.approx([(46 - 16) * 2, (16 - 16) * 2, 70, 1 / (1 + math.exp(-2)), math.degrees(0.5)])


def test_only_sure_cells_of_a_readable_side_are_read() -> None:
    maps = empty_maps(64, 96)
    maps[0, 1, 1:6] = [0.4, 0.6, 3, 3, np.nan]  # the score of logit 0.5 is 0.5
    maps[3, 1, 3] = math.log(60 / 28)
    maps[3, 1, 4] = np.nan
    rows = read_faces(maps, 1, 0, CARD, 0.5)
    assert rows[:, 0].tolist() == [20]
    assert read_faces(empty_maps(8, 8), 1, 0, CARD, 0.5).shape == (0, 5)


def test_boxes_of_one_face_become_their_weighted_mean() -> None:
    rows = np.array(
        [
            [52, 50, 40, 0.3, 10],
            [50, 50, 40, 0.9, 5],
            [50, 50, 80, 0.2, 0],  # around the face, of another size: goes, and does not count
            [50, 55, 20, 0.4, 0],  # within the face
            [85, 50, 40, 0.5, 1],  # the neighbour overlaps by an eighth
        ]
    )
    first, second = suppress(rows)
    assert first == pytest.approx([50.5, 50, 40, 0.9, 5])
    assert second == pytest.approx(rows[4])
    assert suppress(rows[:0]).shape == (0, 5)


def test_many_boxes_take_little_time() -> None:
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, 5000, (180, 1, 2)) + rng.normal(0, 2, (180, 300, 2))
    rows = np.concatenate([centres.reshape(-1, 2), np.full((54_000, 1), 90), rng.random((54_000, 2))], axis=1)
    assert 0 < len(suppress(rows)) <= 180


def test_faces_are_found_on_all_levels_and_not_in_the_border() -> None:
    seen = []

    def run(level: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(level.shape)
        maps = empty_maps(*level.shape)
        maps[0, 1, 1] = 5  # centre at 12, 12: within the border of 16
        maps[0, 4, 4] = 3 if len(seen) == 2 else -20
        return maps

    rows = find_faces(np.zeros((120, 160), np.uint8), run, CARD, smallest_face=20, budget=BUDGET, least_score=0.5)
    assert len(seen) == 3
    assert rows[:, :3].tolist() == [[40, 40, 56]]
