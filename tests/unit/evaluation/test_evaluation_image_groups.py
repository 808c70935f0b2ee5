"""Groups that need no labels of people: measures of an image, and clusters of what features hold beyond the logits."""

import cv2
import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.types import Box, Detection
from mien.evaluation.image_groups import MEASURES, group_features, measure_images, save_group_sheet

FACE = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
SMOOTH = cv2.GaussianBlur(FACE, (0, 0), 3)


class Finder:
    """Finds two faces in every image with a bright corner."""

    name = "finder"

    def __init__(self):
        self.seen = []

    def detect(self, image):
        self.seen.append(image)
        boxes = [Detection(Box(1, 2, 12, 24), 0.5, roll=3.0), Detection(Box(9, 9, 30, 36), 0.9, roll=-20.0)]
        return boxes if image[0, 0, 0] > 200 else []


def values(image, name):
    return float(measure_images([image], Finder())[name][0])


def test_measures_of_light():
    grey = np.full((48, 48), 90, np.uint8)
    assert values(grey, "brightness") == 90
    assert values(grey, "contrast") == 0
    assert values(np.uint8(FACE // 2), "brightness") == pytest.approx(values(FACE, "brightness") / 2, abs=0.6)
    assert values(np.uint8(FACE // 2), "sharpness") == pytest.approx(values(FACE, "sharpness"), rel=0.02)


def test_blur_lowers_sharpness_and_a_mirrored_face_is_as_asymmetric():
    assert values(SMOOTH, "sharpness") < 0.3 * values(FACE, "sharpness")
    symmetric = np.hstack([SMOOTH[:, :24], SMOOTH[:, :24][:, ::-1]])
    assert values(symmetric, "asymmetry") == 0
    assert values(SMOOTH, "asymmetry") == values(np.ascontiguousarray(SMOOTH[:, ::-1]), "asymmetry") > 0.3


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3)])
def test_the_best_face_found_in_a_continued_image(shape):
    bright, finder = np.full(shape, 255, np.uint8), Finder()
    columns = measure_images([bright, np.zeros(shape, np.uint8)], finder)
    assert tuple(columns) == MEASURES
    assert finder.seen[0].shape == (96, 96, 3)
    assert [columns[name].tolist() for name in ("detector_score", "roll", "face_share")] == [
        ["0.9000", ""],
        ["-20.0000", ""],
        ["0.7500", ""],
    ]


def test_features_are_grouped_by_what_the_logits_do_not_say():
    generator = np.random.default_rng(1)
    kind, logits = generator.integers(0, 2, 400), generator.normal(size=(400, 3))
    features = 10 * logits @ generator.normal(size=(3, 6)) + generator.normal(size=(400, 6))
    features[:, :3] += 8 * kind[:, None]
    groups = group_features(features, logits, 2)
    assert max(np.mean(groups == kind), np.mean(groups != kind)) == 1
    assert (groups == 0).sum() >= (groups == 1).sum()
    assert (groups == group_features(features, logits, 2)).all()


def test_too_few_images_for_the_groups():
    with pytest.raises(DataError, match="3 images cannot form 8 groups"):
        group_features(np.zeros((3, 4)), np.zeros((3, 2)))


def test_sheet(tmp_path):
    groups = np.array(["group 1"] * 3 + ["group 2"] * 20)
    save_group_sheet(tmp_path / "sheet.png", np.stack([FACE] * 23), groups)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (128, 15 * 64, 3)
    with pytest.raises(DataError, match=r"name a \.png or \.jpg file"):
        save_group_sheet(tmp_path / "sheet.txt", np.stack([FACE] * 23), groups)
