"""Explained faces: the position of a map on the whole image, and what is saved."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from planted_stages import BrightOrDark, card_of

import mien
from mien.core.errors import ModelError
from mien.core.types import Box, Detection
from mien.explain.face_figure import place_on_image, prepare_folder, save_face
from mien.explain.faces import FaceExplainer
from mien.explain.torch_explainer import TorchExplainer


class Fixed:
    """A detector that returns fixed boxes."""

    name = "fixed"

    def __init__(self, *boxes, roll=0.0):
        self.boxes, self.roll = boxes, roll

    def detect(self, image):
        return [Detection(box, 0.9, roll=self.roll) for box in self.boxes]


@pytest.fixture(scope="module")
def explainer():
    return TorchExplainer(BrightOrDark(), card_of())


def image_with(spot, height=180, width=260, side=12):
    """A mean-grey image (h, w, 3), not square, with a bright square centred at (x, y)."""
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    x, y = (round(place - side / 2) for place in spot)
    image[y : y + side, x : x + side] = 250
    return image


@pytest.mark.parametrize("method", ["gradcam", "layercam", "integrated_gradients", "occlusion"])
@pytest.mark.parametrize(
    ("box", "spot", "roll"),
    [
        (Box(60, 40, 90, 120), (90, 110), 0),
        (Box(60, 40, 90, 120), (121, 83), 0),
        (Box(60, 40, 90, 120), (121, 83), 30),
        (Box(-20, 90, 100, 110), (40, 150), 0),  # reaches past two borders
        (Box(-20, 90, 100, 110), (40, 150), -25),
    ],
)
def test_a_spot_is_found_where_it_is_in_the_image(explainer, method, box, spot, roll):
    image = image_with(spot)
    found = FaceExplainer(explainer, [method], label="happy", detector=Fixed(box, roll=roll)).explain_image(image)
    (face,) = found.faces
    assert face.roll == roll
    values, is_inside = place_on_image(face.maps[0], face.square, *image.shape[:2], face.roll)
    assert values.shape == is_inside.shape == image.shape[:2]
    assert not values[~is_inside].any()
    evidence = np.clip(values, 0, None)
    # the maps of background evidence, left over from rounding, do not count
    evidence = np.where(evidence > 0.2 * evidence.max(), evidence, 0)
    rows, columns = np.indices(values.shape) + 0.5
    middle = (evidence * columns).sum() / evidence.sum(), (evidence * rows).sum() / evidence.sum()
    # a pixel of the crop is two to three of the image
    assert middle == pytest.approx(spot, abs=2.5)


def test_a_face_has_a_map_of_every_method(explainer):
    image = image_with((90, 110))
    boxes = Fixed(Box(150, 40, 90, 90), Box(60, 70, 60, 60))
    faces = FaceExplainer(explainer, ["gradcam", "occlusion"], layer="fine", label="sad", detector=boxes)
    found = faces.explain_image(image, "one.png")
    assert [round(face.face.box.x) for face in found.faces] == [60, 150]
    left = found.faces[0]
    assert left.face.label == "happy"
    assert left.label == "sad"
    assert re.fullmatch(r"happy \d+ %; explained: sad \d+ %", left.describe())
    assert [(one.method, one.layer, one.label) for one in left.maps] == [
        ("gradcam", "fine", "sad"),
        ("occlusion", "", "sad"),
    ]
    content = json.loads(json.dumps(found.to_json()))
    assert content["faces"][0]["explained"] == "sad"
    assert content["faces"][0]["maps"][0]["size"] == [48, 48]


def test_an_image_without_faces_is_not_an_error_and_an_unused_layer_is_one(explainer):
    assert FaceExplainer(explainer, detector=Fixed()).explain_image(image_with((90, 110))).faces == []
    with pytest.raises(ModelError, match=r"Layer 'fine' is given, but occlusion explains the input image"):
        FaceExplainer(explainer, methods=["occlusion"], layer="fine", detector=Fixed())


def test_saved_files_hold_what_was_found_and_overwrite_nothing(explainer, tmp_path):
    turned = Fixed(Box(60, 70, 60, 60), roll=20)
    faces = FaceExplainer(explainer, ["gradcam", "integrated_gradients"], detector=turned)
    image = faces.explain_image(image_with((90, 110)), "some/where/me.jpg")
    folder = tmp_path / "new"
    prepare_folder(folder)
    paths = [*save_face(image, 0, "tiny", folder), *save_face(image, 0, "tiny", folder)]
    stems = ("me-face1", "me-face1-2")
    assert [path.name for path in paths] == [f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "npz")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)
    with Image.open(paths[0]) as figure:
        assert figure.size[0] > 600
    assert b"<svg" in paths[1].read_bytes()
    with np.load(paths[2], allow_pickle=False) as saved:
        assert saved["maps"].shape == (2, 48, 48)
        assert saved["roll"] == 20
        assert list(saved["methods"]) == ["gradcam", "integrated_gradients"]
        np.testing.assert_allclose(saved["maps"][0], image.faces[0].maps[0].resized(48, 48))
        assert saved["crop"].shape == (48, 48)
        assert saved["square"] == pytest.approx([60, 70, 60, 60])


def test_mien_explain_is_a_function(explainer, tmp_path):
    # the package of the same name is imported already, and can be called
    assert "mien.explain.maps" in sys.modules
    path = tmp_path / "one.png"
    Image.fromarray(image_with((90, 110))).save(path)
    from_file, from_pixels = mien.explain(
        explainer, [path, image_with((90, 110))], method="gradcam", layer="fine", detector="none"
    )
    assert from_file.source == str(path)
    np.testing.assert_array_equal(from_file.faces[0].maps[0].values, from_pixels.faces[0].maps[0].values)
    (alone,) = mien.explain(explainer, path, detector="none")
    assert alone.faces[0].maps[0].method == "gradcam"
