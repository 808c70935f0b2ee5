"""Corrupted images: repeatable, of the same shape, worse with each severity, and true to their names."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.image import resize_face
from mien.evaluation import occlusions
from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Image:
    return resize_face(np.ascontiguousarray(astronaut[50:190, 155:295]), 64, 3)


def distance(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(64, 64, 3), (48, 48), (48, 48, 1), (31, 57), (57, 31, 3), (1, 1), (300, 280, 3)])
def test_shapes_types_and_the_input_stay(name: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = image.copy()
    for severity in (1, 5):
        given = corrupt(image, name, severity)
        assert given.shape == shape
        assert given.dtype == np.uint8
        assert given.flags.c_contiguous
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_worse_with_each_severity(name: str, face: Image) -> None:
    changes = [distance(corrupt(face, name, severity, number=3), face) for severity in SEVERITIES]
    assert changes[4] > 5
    assert changes[4] > 1.3 * changes[0] > 0
    # a wrist is narrower than a hand: the last step may uncover a little of the border
    assert all(later > 0.95 * earlier for earlier, later in pairwise(changes)), changes


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_random_choices_depend_only_on_number_and_seed(name: str, face: Image) -> None:
    one = corrupt(face, name, 3, number=7)
    corrupt(face, name, 2, number=1)
    np.testing.assert_array_equal(corrupt(face, name, 3, number=7), one)
    is_random = any((corrupt(face, name, 3, number=n) != one).any() for n in range(6))
    assert is_random == (name not in {"over_exposure", "blur", "jpeg", "down_scaling", "sunglasses"})
    if is_random:
        assert any((corrupt(face, name, 3, number=7, seed=s) != one).any() for s in range(1, 7))


def test_low_light_is_physical(face: Image) -> None:
    """Each stop halves the light: linear means fall by half, up to grain and rounding."""
    light = [((corrupt(face, "low_light", s) / 255.0) ** 2.2).mean() for s in SEVERITIES]
    clean = ((face / 255.0) ** 2.2).mean()
    assert light[0] == pytest.approx(clean / 2, rel=0.03)
    assert light[2] == pytest.approx(clean / 8, rel=0.06)
    assert (corrupt(face, "over_exposure", 5) == 255).mean() > 2 * (face == 255).mean()


@pytest.mark.parametrize(
    ("name", "covered", "free"),
    [
        ("mask", occlusions.MOUTH, occlusions.EYES[0]),
        ("hand_on_mouth", occlusions.MOUTH, (0.5, 0.15)),
        ("sunglasses", occlusions.EYES[1], occlusions.MOUTH),
        ("hand_on_eyes", (0.5, occlusions.EYES[0][1]), occlusions.MOUTH),
    ],
)
def test_occlusions_cover_what_their_name_says(
    name: str, covered: tuple[float, float], free: tuple[float, float]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
    for number in range(8):
        given = corrupt(noise, name, 5, number=number)
        same = given == noise
        (cx, cy), (fx, fy) = ((round(100 * x), round(100 * y)) for x, y in (covered, free))
        assert same[cy - 4 : cy + 4, cx - 4 : cx + 4].mean() < 0.2
        assert same[fy - 4 : fy + 4, fx - 4 : fx + 4].all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros((4, 4), np.uint8), "blurr", 1), "Did you mean 'blur'"),
        ((np.zeros((4, 4), np.uint8), "blur", 0), "Severity 0"),
        ((np.zeros((4, 4), np.uint8), "blur", 6), "Severity 6"),
        ((np.zeros((4, 4), np.float32), "blur", 1), "float32"),
        ((np.zeros((4, 4, 4), np.uint8), "blur", 1), r"\(4, 4, 4\)"),
        ((np.zeros((0, 4), np.uint8), "blur", 1), r"\(0, 4\)"),
    ],
)
def test_bad_input(arguments: tuple[Image, str, int], text: str) -> None:
    with pytest.raises(DataError, match=text):
        corrupt(*arguments)
