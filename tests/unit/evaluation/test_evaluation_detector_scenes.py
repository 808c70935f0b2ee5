import json

import numpy as np
import pytest
from scene_folder import write_scenes

from mien.core.errors import DataError
from mien.core.expressions import Expression
from mien.core.image import resize_face
from mien.core.types import Box, Detection
from mien.data.scenes.covers import COVERS, FACE
from mien.data.scenes.photographs import load_scenes
from mien.data.synthetic import draw_face
from mien.evaluation import detector_scenes
from mien.evaluation.detector_conditions import CONDITIONS, HEIGHT, SIDES, SIZE, WIDTH, ConditionComposer, Level
from mien.evaluation.detector_scenes import count_faces, score_scenes
from mien.evaluation.detector_scores import Finder
from mien.evaluation.frontal_faces import find_frontal
from mien.inference.detectors.none import WholeImage

DRAWINGS = [draw_face(Expression.HAPPY, np.random.default_rng(seed)) for seed in range(4)]
FACES = np.array([resize_face(drawing, FACE, 1) for drawing in DRAWINGS])

FRONTAL = np.array([True, True, False, True])


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("scenes"))
    return ConditionComposer(FACES, FRONTAL, load_scenes(folder).photographs)


def one(composer, level):
    return next(composer.scenes(level, 4))


def test_scenes_have_drawn_faces_inside_and_known_ones_ignored(composer):
    scene = one(composer, Level("", (40, 60)))
    assert scene.image.shape == (HEIGHT, WIDTH, 3)
    assert scene.image.dtype == np.uint8
    drawn, known = scene.faces[~scene.is_ignored], scene.faces[scene.is_ignored]
    assert len(known) == 1
    # 36 x 44 pixels of 160 x 120, scaled by 6: its square as the recognizer crops it
    side = 6 * (36 * 44) ** 0.5
    assert known[0, 2:].tolist() == pytest.approx([side, side])
    assert len(drawn) >= 1
    assert (drawn[:, 2:] >= 40).all()
    assert (drawn[:, 2:] <= 60).all()
    assert (drawn[:, :2] >= 0).all()
    assert (drawn[:, :2] + drawn[:, 2:] <= (WIDTH, HEIGHT)).all()


def test_scenes_are_made_until_there_are_enough_faces(composer):
    for level, most in ((Level("", (40, 60)), 7), (Level("", (200, 300)), 3)):
        scenes = list(composer.scenes(level, most))
        assert sum(int((~scene.is_ignored).sum()) for scene in scenes) == most
    without = list(composer.scenes(Level("", heads="no faces"), 7))
    assert len(without) == 2
    assert all(scene.is_ignored.all() for scene in without)


def test_equal_seeds_give_equal_scenes(composer):
    level = Level("", noise=5)
    again = ConditionComposer(FACES, FRONTAL, composer.photographs)
    other = ConditionComposer(FACES, FRONTAL, composer.photographs, seed=1)
    assert (one(composer, level).image == one(again, level).image).all()
    assert (one(composer, level).image != one(other, level).image).any()


def test_levels_of_a_condition_differ_only_in_it(composer):
    plain = one(composer, Level(""))
    changes = {"turn": 0.3, "cover": "mask", "noise": 9, "roll": (60, 60), "shade": 0.5}
    for level in (Level("", **{name: value}) for name, value in changes.items()):
        changed = one(composer, level)
        assert (changed.faces == plain.faces).all()
        assert (changed.image != plain.image).any()
    dark = one(composer, Level("", light=0.25))
    assert np.abs(dark.image - plain.image / 4).max() <= 0.5
    flat = one(composer, Level("", contrast=0.2))
    assert flat.image.std() == pytest.approx(0.2 * plain.image.std(), rel=0.02)
    assert flat.image.mean() == pytest.approx(plain.image.mean(), abs=1)


def test_only_frontal_faces_are_drawn_unless_any_are_wanted(composer):
    only = ConditionComposer(FACES, np.array([False, False, False, True]), composer.photographs)
    same = ConditionComposer(FACES[3:], np.array([True]), composer.photographs)
    assert (one(only, Level("")).image == one(same, Level("")).image).all()
    assert (one(only, Level("", is_any=True)).image != one(only, Level("")).image).any()
    with pytest.raises(DataError, match="None of 4 faces is frontal"):
        ConditionComposer(FACES, np.zeros(4, bool), composer.photographs)


def test_a_face_is_frontal_if_it_looks_ahead_and_is_upright(astronaut):
    grey = astronaut[:, :, 1]
    face = np.ascontiguousarray(grey[60:180, 162:282])
    assert find_frontal([face, np.rot90(face), grey[300:420, 0:120], face[::-1]]).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_nothing_is_drawn_into_photographs_alone(composer):
    alone, with_heads = one(composer, Level("", heads="none")), one(composer, Level("", heads="no faces"))
    assert alone.is_ignored.all()
    assert (alone.image != with_heads.image).any()


def test_the_conditions_cover_the_sizes_and_all_covers():
    assert [level.sides[0] for level in CONDITIONS[SIZE]] == list(SIDES[:-1])
    assert CONDITIONS[SIZE][-1].sides[1] == 300
    assert {level.cover for level in CONDITIONS["cover"]} == {"", *COVERS}
    assert [level.roll for level in CONDITIONS["roll"]][-1] == (90, 90)


class FewFaces:
    """Finds every second drawn face, and a box in the corner of each scene that is not there."""

    name = "few"

    def __init__(self):
        self.faces = []

    def detect(self, image):
        found = [Detection(Box(*face), 0.9) for face in self.faces.pop(0)[::2].tolist()]
        return [*found, Detection(Box(-900, -900, 9, 9), 0.6)]


class WatchedComposer(ConditionComposer):
    """Tells a detector where the faces are."""

    detector: FewFaces

    def scenes(self, level, count):
        for scene in super().scenes(level, count):
            self.detector.faces.append(scene.faces[~scene.is_ignored])
            yield scene


def test_scores_by_level(composer, monkeypatch):
    levels = {SIZE: (Level("small", (30, 40)), Level("large", (60, 70))), "cover": (Level("mask", cover="mask"),)}
    monkeypatch.setattr(detector_scenes, "CONDITIONS", levels | {"without_face": (Level("no", heads="no faces"),)})
    watched = WatchedComposer(FACES, FRONTAL, composer.photographs)
    watched.detector = FewFaces()
    names, done = [], []
    scores = score_scenes(
        Finder(watched.detector), watched, 4, seen=lambda name, *_: names.append(name), progress=done.append
    )
    stage = scores["stages"]["detector"]
    rows = [row for condition in stage["conditions"].values() for row in condition]
    assert [row["level"] for row in rows] == ["small", "large", "mask", "no"]
    assert [row["faces"] for row in rows] == [4, 4, 4, 0]
    assert all(row["found"] == 2 and row["false"] == row["images"] for row in rows[:3] if row["images"] == 1)
    assert rows[3]["false_per_image"] == 1
    frontal = stage["frontal"]
    assert frontal["faces"] == 8
    assert frontal["found"] == rows[0]["found"] + rows[1]["found"]
    assert [row["share_faces"] for row in stage["calibration"]["bins"]] == [0, 1]
    assert names[0] == "size: small"
    assert sum(done) == count_faces(4) == 16
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_too_few_faces_are_an_error(composer):
    with pytest.raises(DataError, match="0 faces per level given"):
        score_scenes(Finder(WholeImage()), composer, 0)
