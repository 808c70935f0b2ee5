from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny_model import MakeModel, tiny_card

import mien
from mien.core.card import CropSpec
from mien.core.decoding import Limits
from mien.core.errors import DataError, ImageError, ModelError
from mien.core.image import resize_face, to_batch
from mien.core.types import Box, Detection
from mien.inference.model import OnnxModel, Scores
from mien.inference.recognizer import Recognizer


class FixedDetector:
    """Finds the same boxes in every image."""

    name = "fixed"

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return [Detection(box, 0.9) for box in self.boxes if box.x < image.shape[1]]


class CountingModel:
    """Counts the faces of each forward pass."""

    def __init__(self, path: Path) -> None:
        self._model = OnnxModel.load(path)
        self.card = self._model.card
        self.passes: list[int] = []

    def predict(self, images: NDArray[np.float32]) -> Scores:
        self.passes.append(len(images))
        return self._model.predict(images)


def scene() -> NDArray[np.uint8]:
    """A dark checked face on the left, a bright one on the right, and a flat middle."""
    image = np.full((100, 300, 3), 128, np.uint8)
    checks = (np.indices((100, 100)).sum(0) // 4 % 2 * 100).astype(np.uint8)[..., None]
    image[:, :100] = checks
    image[:, 200:] = checks + 155
    return image


LEFT, MIDDLE, RIGHT = Box(30, 30, 40, 40), Box(130, 30, 40, 40), Box(230, 30, 40, 40)


def test_faces_come_from_left_to_right_with_label_and_probabilities(tiny_model: Path) -> None:
    result = Recognizer(tiny_model, FixedDetector(RIGHT, LEFT)).recognize(scene(), source="scene")
    assert [face.label for face in result.faces] == ["sad", "happy"]
    assert [face.box for face in result.faces] == [LEFT, RIGHT]
    assert (result.source, result.width, result.height, result.rejected) == ("scene", 300, 100, 0)
    for face in result.faces:
        assert list(face.probabilities) == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
        assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert face.confidence == max(face.probabilities.values())
    assert result.shares["happy"] == result.shares["sad"] == 0.5


def test_boxes_without_a_face_are_dropped_and_counted(tiny_model: Path) -> None:
    detector = FixedDetector(LEFT, MIDDLE, RIGHT)
    result = Recognizer(tiny_model, detector).recognize(scene())
    assert [face.box for face in result.faces] == [LEFT, RIGHT]
    assert result.rejected == 1
    kept = Recognizer(tiny_model, detector, use_rejection=False).recognize(scene())
    assert len(kept.faces) == 3
    assert kept.rejected == 0


def test_mirrored_faces_have_equal_scores_with_views_flip(tiny_model: Path) -> None:
    model = CountingModel(tiny_model)
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    recognizer = Recognizer(model, "none", views="flip")
    (one,), (mirrored,) = (recognizer.recognize(image).faces for image in (face, face[:, ::-1]))
    assert model.passes == [1, 1, 1, 1]
    assert one.probabilities == pytest.approx(mirrored.probabilities, abs=1e-6)
    parts = [Recognizer(model, "none").recognize(image).faces[0].probabilities for image in (face, face[:, ::-1])]
    assert one.probabilities == pytest.approx({k: (v + parts[1][k]) / 2 for k, v in parts[0].items()}, abs=1e-6)
    with pytest.raises(DataError, match="No views named 'both'"):
        Recognizer(model, "none", views="both")


def test_a_model_that_cannot_reject_keeps_all_but_duplicates(make_model: MakeModel) -> None:
    model = make_model(tiny_card(reject_threshold=None), outputs=7)
    boxes = (LEFT, MIDDLE, RIGHT, Box(32, 31, 40, 40))
    assert len(Recognizer(model, FixedDetector(*boxes)).recognize(scene()).faces) == 3


def test_a_batch_is_one_forward_pass_and_equals_one_by_one(tiny_model: Path) -> None:
    model = CountingModel(tiny_model)
    recognizer = Recognizer(model, FixedDetector(LEFT, MIDDLE, RIGHT))
    images = [scene(), scene()[:, ::-1], np.zeros((5, 5), np.uint8), scene()[:, :200]]
    results = recognizer.recognize_batch(images)
    assert model.passes == [3 + 3 + 0 + 2]
    assert results == [recognizer.recognize(image) for image in images]
    assert recognizer.recognize_batch([]) == []


def test_found_faces_are_classified_in_passes_of_bounded_size(tiny_model: Path) -> None:
    model = CountingModel(tiny_model)
    recognizer = Recognizer(model, FixedDetector(LEFT, MIDDLE, RIGHT))
    found = [recognizer.find(scene(), "a"), recognizer.find(np.zeros((5, 5), np.uint8)), recognizer.find(scene(), "b")]
    assert [len(faces.crops) for faces in found] == [3, 0, 3]
    results = recognizer.classify(found, batch=4)
    assert model.passes == [4, 2]
    assert results == recognizer.classify(found)
    with pytest.raises(ImageError, match="larger than"):
        recognizer.find(b"x" * 20, limits=Limits(max_bytes=10))


def test_without_detector_the_network_gets_exactly_the_image(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    recognizer = Recognizer(tiny_model, "none")
    seen: list[NDArray[np.float32]] = []
    predict = recognizer.model.predict
    monkeypatch.setattr(recognizer.model, "predict", lambda faces: (seen.append(faces), predict(faces))[1])
    (found,) = recognizer.recognize(face).faces
    assert np.array_equal(seen[0], to_batch([face], recognizer.card.input))
    assert found.box == Box(0, 0, 48, 48)
    assert len(recognizer.recognize(np.zeros((9, 9), np.uint8)).faces) == 1  # nothing is rejected


@pytest.mark.parametrize(("roll", "quarters"), [(90, 1), (-90, -1), (4, 0)])
def test_turned_heads_are_classified_upright(tiny_model: Path, roll: float, quarters: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    box = Box(20, 20, 48, 48)
    detector = SimpleNamespace(name="turned", detect=lambda _: [Detection(box, 0.9, roll=roll)])
    recognizer = Recognizer(tiny_model, detector, use_rejection=False)
    recognizer.crop_spec = CropSpec(shift_y=0)
    found = recognizer.find(image)
    upright = np.asarray(np.rot90(image[20:68, 20:68], quarters))
    assert np.array_equal(found.crops[0], resize_face(upright, 48, 1))
    (face,) = recognizer.classify([found])[0].faces
    assert (face.roll, face.box) == (roll, box)


def test_paths_bytes_and_arrays_agree(tiny_model: Path, tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    recognizer = Recognizer(tiny_model, "haar")
    path = tmp_path / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    by_array = recognizer.recognize(astronaut)
    assert len(by_array.faces) == 1
    for image in (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), bytearray(path.read_bytes())):
        assert recognizer.recognize(image).faces == by_array.faces
    assert recognizer.recognize(path).source == str(path)
    assert by_array.source == "image"


def test_bad_input(tiny_model: Path, tmp_path: Path) -> None:
    recognizer = Recognizer(tiny_model, "none")
    with pytest.raises(ImageError, match="No such file"):
        recognizer.recognize(tmp_path / "nosuch.png")
    with pytest.raises(ImageError, match="list"):
        recognizer.recognize([[1, 2]])  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="photo is not an image"):
        recognizer.recognize(b"text", source="photo")
    with pytest.raises(ModelError, match="No detector"):
        Recognizer(tiny_model, "nosuch")


def test_recognizer_is_reached_lazily_and_without_torch() -> None:
    assert mien.Recognizer is Recognizer
    with pytest.raises(AttributeError, match="Nothing"):
        mien.Nothing  # noqa: B018
    code = (
        "import sys, mien\n"
        "assert not {'cv2', 'numpy', 'onnxruntime'} & set(sys.modules)\n"
        "mien.Recognizer\n"
        "assert 'onnxruntime' not in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
