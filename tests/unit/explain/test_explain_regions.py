import numpy as np
import pytest

from mien.core.card import CropSpec
from mien.core.decoding import read_image
from mien.core.image import crop_face
from mien.core.types import Box, Detection
from mien.explain.regions import MEAN_FACE, REGIONS, area_shares, attribution_shares, face_regions, find_landmarks

# The portraits: the box and the landmarks that YuNet finds, and places read off the images by eye, in pixels.
PORTRAITS = {
    "astronaut": (
        Box(178, 63, 90, 113),
        [[200, 102], [247, 103], [220, 125], [199, 143], [240, 144]],
        {
            "eyes": [(203, 101), (247, 103)],
            "brows": [(200, 91), (245, 93)],
            "nose": [(221, 122), (222, 112)],
            "mouth": [(222, 145), (207, 141), (243, 141), (224, 153)],
            "rest of the face": [(225, 80), (195, 120), (255, 120), (225, 168)],
            "outside": [(268, 165), (178, 165)],
        },
    ),
    "hopper": (
        Box(183, 120, 170, 212),
        [[227, 193], [308, 195], [266, 240], [229, 268], [302, 270]],
        {
            "eyes": [(222, 188), (308, 187)],
            "brows": [(225, 165), (310, 163)],
            "nose": [(264, 238), (262, 215)],
            "mouth": [(264, 275), (232, 277), (300, 277), (264, 288)],
            "rest of the face": [(262, 150), (210, 235), (325, 235)],
            "outside": [(180, 305), (356, 305)],
        },
    ),
}
PARTS = ("eyes", "eyes", "nose", "mouth", "mouth")


class Fixed:
    """A detector that knows where the face is: what it was given lies enlarged in the middle of a frame."""

    name = "fixed"

    def __init__(self, landmarks):
        self.landmarks = landmarks

    def detect(self, image):
        height, width = image.shape[:2]
        edge = 96
        inner = np.array([width - 2 * edge, height - 2 * edge])
        points = tuple(map(tuple, edge + np.array(self.landmarks) * inner)) if len(self.landmarks) else ()
        return [Detection(Box(edge, edge, *inner), 0.9, points)]


def part_at(regions, point):
    height, width = regions.shape
    return REGIONS[regions[int(point[1] * height), int(point[0] * width)]]


def test_regions_divide_the_image_without_rest():
    regions = face_regions(96, 60)
    assert regions.shape == (96, 60)
    assert area_shares(regions).sum() == pytest.approx(1)
    assert (area_shares(regions) > 0.03).all()
    np.testing.assert_array_equal(regions, regions[:, ::-1])


def test_regions_follow_a_face_that_is_moved_and_turned():
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = (MEAN_FACE - 0.5) @ turn * 0.7 + 0.45
    regions = face_regions(100, 100, points)
    assert [part_at(regions, point) for point in points] == list(PARTS)
    assert area_shares(regions)[0] == pytest.approx(0.49 * area_shares(face_regions(100, 100))[0], rel=0.05)


@pytest.mark.parametrize("name", PORTRAITS)
def test_parts_lie_right_on_the_portraits(name, astronaut, hopper):
    image = astronaut if name == "astronaut" else read_image(hopper)
    box, landmarks, places = PORTRAITS[name]
    side = crop_face(image, box, CropSpec()).shape[0]
    corner = np.array([box.centre[0] - side / 2, box.centre[1] + 0.02 * side - side / 2])
    regions = face_regions(side, side, (np.array(landmarks) - corner) / side)
    for part, points in places.items():
        assert [part_at(regions, (point - corner) / side) for point in points] == [part] * len(points)


def test_landmarks_come_back_in_parts_of_the_crop(astronaut):
    wanted = MEAN_FACE * 0.8 + 0.07
    for crop in (astronaut[:200, :200], astronaut[:100, :160], astronaut[:60, :60, 0]):
        np.testing.assert_allclose(find_landmarks(crop, Fixed(wanted)), wanted, atol=1e-9)


@pytest.mark.parametrize("landmarks", [np.empty((0, 2)), np.full((5, 2), 0.5), np.full((5, 2), np.nan)])
def test_no_landmarks_or_a_face_edge_on_is_none(landmarks, astronaut):
    assert find_landmarks(astronaut, Fixed(landmarks)) is None


def test_attribution_is_divided_by_where_it_lies():
    regions = face_regions(64, 64)
    np.testing.assert_allclose(attribution_shares(np.ones((64, 64), np.float32), regions), area_shares(regions))
    values = np.where(regions == REGIONS.index("mouth"), 2, -5).astype(np.float32)
    shares = attribution_shares(values, regions)
    assert shares[REGIONS.index("mouth")] == 1
    assert shares.sum() == 1
