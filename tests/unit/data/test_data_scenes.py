"""Composed scenes: what is read, where faces are drawn, and that equal seeds give equal scenes."""

import cv2
import numpy as np
import pytest
from scene_folder import write_scenes

from mien.core.errors import DataError
from mien.data.registry import load
from mien.data.scenes.composer import SIDE, Composer, Place
from mien.data.scenes.covers import COVERS, FACE
from mien.data.scenes.heads import HEAD, Head, HeadPainter
from mien.data.scenes.photographs import Photograph, Scenes, load_scenes
from mien.data.scenes.placing import Pose, place
from mien.data.scenes.surfaces import Surfaces

NO_FACES = (np.zeros((0, 3)), np.zeros(0, dtype=bool))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return load_scenes(write_scenes(tmp_path_factory.mktemp("scenes")))


@pytest.fixture(scope="module")
def drawn_faces():
    return load("synthetic", None).images[:40]


def test_images_are_photographs_and_those_with_transparency_are_objects(scenes):
    assert [photograph.image.shape for photograph in scenes.photographs] == [(120, 160)] * 6
    (thing,) = scenes.objects
    assert thing.shape == (40, 60, 2)
    assert thing[20, 30, 1] == 255
    assert thing[0, 0, 1] == 0


def test_a_known_face_is_the_square_that_the_recognizer_crops(scenes):
    side = (36 * 44) ** 0.5
    assert np.allclose(scenes.photographs[0].faces, [[78, 62 + 0.02 * side, side]])


def test_large_photographs_are_reduced_with_their_faces(tmp_path):
    write_scenes(tmp_path, 1)
    cv2.imwrite(str(tmp_path / "photograph0.png"), np.zeros((1500, 2000), np.uint8))
    (photograph,) = load_scenes(tmp_path).photographs
    factor = photograph.image.shape[1] / 2000
    assert photograph.image.size <= 1_010_000
    assert np.allclose(photograph.faces[0, 2], (36 * 44) ** 0.5 * factor, rtol=1e-3)


def test_every_fifth_photograph_is_held_back(scenes):
    training, held_back = scenes.divide()
    assert [each.name for each in held_back.photographs] == ["photograph0.png", "photograph5.png"]
    assert len(training.photographs) == 4


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_photographs_is_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"--scenes DIR|holds no photographs"):
        load_scenes(tmp_path / name)


def spot(x, y):
    """A head whose face's frame is grey with a bright spot, at x and y in sides of the frame from its middle."""
    grey, alpha = np.zeros((2, HEAD, HEAD), np.float32)
    alpha[FACE : 2 * FACE, FACE : 2 * FACE] = 1
    column, row = round(HEAD / 2 + x * FACE), round(HEAD / 2 + y * FACE)
    grey[row - 3 : row + 3, column - 3 : column + 3] = 255
    return Head(grey, alpha)


def middle_of(image):
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] + 0.5
    return (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()


@pytest.mark.parametrize("side", [20.0, 33.3, 90.0])
@pytest.mark.parametrize("roll", [0, 30, -90])
def test_a_head_is_drawn_where_its_square_is_turned_clockwise(side, roll):
    image = np.zeros((200, 200), np.float32)
    place(image, spot(0.25, -0.125), Pose(roll=roll), (101.5, 88.25, side))
    cos, sin = np.cos(np.deg2rad(roll)), np.sin(np.deg2rad(roll))
    x, y = 0.25 * side, -0.125 * side
    assert np.allclose(middle_of(image), (101.5 + cos * x - sin * y, 88.25 + sin * x + cos * y), atol=0.2)


def test_the_far_side_of_a_turned_head_is_narrower():
    image = np.zeros((200, 200), np.float32)
    place(image, spot(0.25, 0), Pose(turn=0.3), (100, 100, 60))
    assert middle_of(image)[0] < 100 + 0.25 * 60 - 2


def test_a_head_outside_of_the_image_changes_nothing():
    image = np.ones((60, 60), np.float32)
    place(image, spot(0, 0), Pose(), (-200, 30, 40))
    assert (image == 1).all()


@pytest.mark.parametrize("cover", list(COVERS))
def test_covers_change_a_part_of_the_face(scenes, drawn_faces, cover):
    surfaces = Surfaces(scenes.photographs, np.random.default_rng(0))
    face = drawn_faces[0].astype(np.float32)
    changed = (np.abs(COVERS[cover][0](face, surfaces) - face) > 1).mean()
    assert 0.02 < changed < 0.8


def test_a_head_shows_its_face_unless_it_has_none(scenes, drawn_faces):
    painter = HeadPainter(drawn_faces, Surfaces(scenes.photographs, np.random.default_rng(0)))
    painter._lit = lambda canvas: Head(canvas.grey, canvas.alpha)
    middle = slice(HEAD // 2 - 8, HEAD // 2 + 8)
    grey = painter.with_face(drawn_faces[3], cover="").grey[middle, middle]
    assert np.corrcoef(grey.ravel(), drawn_faces[3][16:32, 16:32].ravel())[0, 1] > 0.95


def test_equal_seeds_give_equal_scenes_and_others_do_not(scenes, drawn_faces):
    first, second = Composer(drawn_faces, scenes, 3), Composer(drawn_faces, scenes, 4)
    images = [[composer.scene().image for _ in range(4)] for composer in (first, second)]
    second.reseed(3)
    assert np.array_equal(images[0], [second.scene().image for _ in range(4)])
    assert not np.array_equal(*images)


def test_scenes_show_drawn_faces_with_a_roll_and_known_ones_without(scenes, drawn_faces):
    composer = Composer(drawn_faces, scenes)
    composed = [composer.scene() for _ in range(60)]
    assert {scene.image.shape for scene in composed} == {(SIDE, SIDE)}
    rows = np.concatenate([scene.faces for scene in composed])
    is_known = np.isnan(rows[:, 3])
    assert 0 < is_known.sum() < len(rows)
    assert (np.abs(rows[~is_known, 3]) <= 50).mean() > 0.99
    assert rows[:, 2].min() >= 16
    assert rows[:, 2].max() <= 48
    assert len(np.concatenate([scene.ignored for scene in composed])) > 0


def test_photographs_and_faces_alone_are_enough(drawn_faces):
    photograph = Photograph(np.full((80, 90), 128, np.uint8), "grey.png", *NO_FACES)
    composed = [Composer(drawn_faces, Scenes([photograph]), seed).scene() for seed in range(20)]
    assert sum(len(scene.faces) for scene in composed) > 5


def test_a_face_that_nobody_could_see_is_ignored(drawn_faces):
    photograph = Photograph(np.zeros((80, 90), np.uint8), "black.png", np.array([[40.0, 40, 30]]), np.array([False]))
    composer = Composer(drawn_faces[:1] * 0, Scenes([photograph]))
    composer._add_head = lambda *_, **__: None
    composer._add_things = lambda *_: None
    assert sum(len(composer.scene().faces) for _ in range(30)) == 0


def test_a_hard_place_is_shown(drawn_faces):
    image = np.zeros((400, 600), np.uint8)
    image[300:330, 500:530] = 255
    composer = Composer(drawn_faces, Scenes([Photograph(image, "place.png", *NO_FACES)]))
    for _ in range(10):
        canvas, _, _ = composer._background(Place(0, (515, 315, 30)))
        white = (canvas > 128).sum() ** 0.5
        assert 14 < white < 48
