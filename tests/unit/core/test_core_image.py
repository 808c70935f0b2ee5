from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.core.card import CropSpec, InputSpec
from mien.core.errors import ImageError
from mien.core.image import LEAST_ROLL, as_rgb, crop_face, fit_face, normalize, resize_face, roll_to_undo, to_batch
from mien.core.types import Box

PLAIN = CropSpec(scale=1, shift_x=0, shift_y=0)


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def checks(side: int, level: int) -> NDArray[np.uint8]:
    return (np.indices((side, side)).sum(0) % 2 * level).astype(np.uint8)


# -- arrays


def test_as_rgb_takes_grey_rgb_and_rgba_of_8_and_16_bits_and_floats() -> None:
    grey, rgb = noise(4, 5), noise(4, 5, 3)
    assert np.array_equal(as_rgb(grey)[..., 2], grey)
    assert np.array_equal(as_rgb(grey[..., None])[..., 0], grey)
    assert np.array_equal(as_rgb(rgb), rgb)
    assert as_rgb(np.uint8([[[9, 8, 7, 0], [9, 8, 7, 255]]])).tolist() == [[[255, 255, 255], [9, 8, 7]]]
    assert as_rgb(np.uint8([[[9, 8, 7, 0]]])).tolist() == [[[9, 8, 7]]]  # an unused channel
    assert as_rgb(np.array([[0.0, 0.5, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert as_rgb(np.array([[0, 65535]], dtype=np.uint16))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((2, 2, 2), np.uint8), "shape"),
        (np.zeros((1, 2, 2, 3), np.uint8), "shape"),
        (np.array([[np.nan]]), "floats outside"),
        (np.array([[255.0]]), "floats outside"),
        (np.array([[1]], dtype=np.int64), "int64"),
    ],
)
def test_as_rgb_refuses(array: NDArray[np.generic], expected: str) -> None:
    with pytest.raises(ImageError, match=expected):
        as_rgb(array)


# -- crops


@pytest.mark.parametrize(
    ("box", "crop", "expected"),
    [
        pytest.param(Box(10, 20, 30, 30), PLAIN, lambda image: image[20:50, 10:40], id="whole pixels"),
        # side = 1.5 * sqrt(10 * 40) = 30, centre = (45, 40) + (3, -6)
        pytest.param(
            Box(40, 20, 10, 40), CropSpec(1.5, 0.1, -0.2), lambda image: image[19:49, 33:63], id="scale and shift"
        ),
        pytest.param(
            Box(-5, -5, 10, 10),
            PLAIN,
            lambda image: np.pad(image[:5, :5], ((5, 0), (5, 0), (0, 0)), mode="edge"),
            id="repeats the border",
        ),
        pytest.param(Box(3, 4, 1, 1), PLAIN, lambda image: image[4:5, 3:4], id="one pixel"),
        pytest.param(Box(-50, -50, 9, 9), PLAIN, lambda image: np.tile(image[0, 0], (9, 9, 1)), id="outside"),
    ],
)
def test_crops(box: Box, crop: CropSpec, expected: object) -> None:
    image = noise(100, 100, 3)
    assert np.array_equal(crop_face(image, box, crop), expected(image))  # type: ignore[operator]
    assert np.array_equal(crop_face(image[..., 1], box, crop), expected(image)[..., 1])  # type: ignore[operator]


def test_crop_is_exact_between_pixels() -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None], 50, axis=0)
    crop = crop_face(ramp, Box(10.5, 10, 20, 20), PLAIN)
    assert crop[0].tolist() == [21 + 2 * i for i in range(20)]


def test_crop_of_a_huge_face_is_small_does_not_alias_and_keeps_its_place() -> None:
    crop = crop_face(checks(4096, 255), Box(0, 0, 4096, 4096), PLAIN)
    assert crop.shape == (1024, 1024)
    assert np.abs(crop.astype(int) - 128).max() <= 2
    image = np.zeros((3000, 4000), np.uint8)
    image[1000:2000, 1500:2500] = 255
    rows, columns = np.nonzero(crop_face(image, Box(1000, 500, 2000, 2000), PLAIN) > 128)
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == [256, 768, 256, 768]


@pytest.mark.parametrize("roll", [90, -90, 180, 270])
def test_a_face_turned_by_quarters_is_turned_back_exactly(roll: int) -> None:
    image, face = noise(100, 100, 3), noise(30, 30, 3)
    image[20:50, 40:70] = np.rot90(face, -roll // 90)  # rot90 turns against the clock
    assert np.array_equal(crop_face(image, Box(40, 20, 30, 30), PLAIN, roll), face)


@pytest.mark.parametrize("roll", [-40, 25])
def test_a_turned_face_is_cut_upright_in_its_own_directions(roll: float) -> None:
    upright = cv2.GaussianBlur(noise(200, 200, 3), (0, 0), 4)
    crop = CropSpec(1.2, 0.1, -0.2)
    expected = crop_face(upright, Box(80, 70, 40, 50), crop)
    # OpenCV's angles are against the clock
    turn = cv2.getRotationMatrix2D((99.5, 94.5), -roll, 1.0)
    turned = cv2.warpAffine(upright, turn, (200, 200), flags=cv2.INTER_CUBIC)
    found = crop_face(np.asarray(turned, dtype=np.uint8), Box(80, 70, 40, 50), crop, roll)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 3


def test_a_turned_face_repeats_the_border_and_does_not_alias() -> None:
    bright = np.full((50, 60), 200, np.uint8)
    assert (crop_face(bright, Box(-40, -40, 60, 60), PLAIN, 30) == 200).all()
    assert (crop_face(bright, Box(0, -5, 60, 60), PLAIN, 30) == 200).all()
    large = crop_face(checks(4096, 255), Box(500, 500, 3000, 3000), PLAIN, 45)
    assert large.shape == (1024, 1024)
    assert np.abs(large[100:-100, 100:-100].astype(int) - 128).max() <= 30


def test_small_rolls_are_not_undone() -> None:
    assert [roll_to_undo(roll) for roll in (0, LEAST_ROLL - 0.1, 1 - LEAST_ROLL)] == [0, 0, 0]
    assert [roll_to_undo(roll) for roll in (LEAST_ROLL, -33)] == [LEAST_ROLL, -33]


@pytest.mark.parametrize("box", [Box(0, 0, 0, 5), Box(0, 0, -3, -3), Box(float("nan"), 0, 5, 5)])
def test_crop_refuses_boxes_without_area(box: Box) -> None:
    with pytest.raises(ImageError, match="not a rectangle"):
        crop_face(noise(9, 9), box, PLAIN)


# -- resizing and normalizing


def test_a_face_of_the_right_size_is_untouched() -> None:
    face = noise(48, 48)
    grey_rgb = np.repeat(face[..., None], 3, axis=2)
    assert np.array_equal(resize_face(face, 48, 1), face)
    assert np.array_equal(resize_face(grey_rgb, 48, 1), face)
    assert np.array_equal(resize_face(face, 48, 3), grey_rgb)


@pytest.mark.parametrize("shape", [(100, 100), (10, 10, 3), (100, 10), (10, 100, 1), (48, 47, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_gives_the_size_asked_for(shape: tuple[int, ...], channels: int) -> None:
    resized = resize_face(np.full(shape, 77, np.uint8), 48, channels)
    assert resized.shape == ((48, 48) if channels == 1 else (48, 48, 3))
    assert (resized == 77).all()


def test_shrinking_averages_and_grey_is_bt601_luma() -> None:
    assert (resize_face(checks(96, 200), 48, 1) == 100).all()
    face = np.full((48, 48, 3), (200, 100, 50), np.uint8)
    assert resize_face(face, 48, 1)[0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_batch_is_normalized_and_in_channel_order() -> None:
    spec = InputSpec(size=8, channels=3, mean=0.4, std=0.2)
    faces = [noise(8, 8, 3, seed=1), noise(8, 8, 3, seed=2)]
    batch = to_batch(faces, spec)
    assert batch.dtype == np.float32
    expected = (np.stack(faces).astype(np.float64).transpose(0, 3, 1, 2) / 255 - 0.4) / 0.2
    assert np.allclose(batch, expected, atol=1e-6)
    assert to_batch([], spec).shape == (0, 3, 8, 8)
    assert normalize(np.array([0, 255], np.float32), InputSpec(mean=0.5, std=0.25)).tolist() == [-2, 2]


@pytest.mark.parametrize("size", [8, 24])
def test_colour_is_removed_for_a_network_of_grey_images(size: int) -> None:
    face, spec = noise(20, 20, 3, seed=1), InputSpec(size, channels=3, is_grey=True)
    grey = resize_face(face, size, 1)
    fitted = fit_face(face, spec)
    assert np.array_equal(fitted, np.stack([grey] * 3, axis=2))
    assert np.array_equal(fit_face(fitted, spec), fitted)
    assert np.array_equal(to_batch([face], spec), to_batch([grey], spec))
    assert np.array_equal(fit_face(face, InputSpec(size=20, channels=3)), face)
