"""The shipped face detector: what `auto` finds in real portraits, tilted heads, small faces and large photographs."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.decoding import read_image
from mien.core.image import as_rgb
from mien.inference.archive.job import ArchiveSettings, plan
from mien.inference.detectors import mien as module
from mien.inference.detectors.mien import Mien
from mien.inference.detectors.registry import create_detector
from mien.inference.recognizer import Recognizer

ASTRONAUT = (223, 118)  # the centre of the face, in pixels; YuNet's box there is 90 x 113
HOPPER = (257, 216)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def turned(image: NDArray[np.uint8], degrees: float, centre: tuple[int, int] = ASTRONAUT) -> NDArray[np.uint8]:
    """Turn an image clockwise around a point."""
    matrix = cv2.getRotationMatrix2D(centre, -degrees, 1.0)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)


def test_the_file_is_small_and_has_a_card() -> None:
    file = Path(str(files("mien"))) / "assets" / "detectors" / "mien.onnx"
    assert file.stat().st_size <= 400_000
    card = Mien().card
    assert 0.2 <= card.threshold <= 0.9
    assert isinstance(create_detector(), Mien)


def test_portraits_have_one_face_where_it_is(
    recognizer: Recognizer, astronaut: NDArray[np.uint8], hopper: Path
) -> None:
    for image, centre, size in ((astronaut, ASTRONAUT, 101), (read_image(hopper), HOPPER, 182)):
        result = recognizer.recognize(image)
        (face,) = result.faces
        assert face.box.centre == pytest.approx(centre, abs=0.12 * size)
        assert np.sqrt(face.box.width * face.box.height) == pytest.approx(size, rel=0.2)
        assert abs(face.roll) < 15
    assert recognizer.recognize(astronaut).faces[0].label == "happy"


@pytest.mark.parametrize("degrees", [-30, -15, 20, 30])
def test_a_tilted_head_is_classified_upright(
    recognizer: Recognizer, astronaut: NDArray[np.uint8], degrees: float
) -> None:
    upright, tilted = (
        max(recognizer.recognize(image).faces, key=lambda face: face.score)
        for image in (astronaut, turned(astronaut, degrees))
    )
    assert tilted.roll - upright.roll == pytest.approx(degrees, abs=10)
    assert tilted.label == "happy"


@pytest.mark.parametrize("side", [32, 60, 300])
def test_faces_of_every_size_are_found(astronaut: NDArray[np.uint8], side: int) -> None:
    factor = side / 101
    small = cv2.resize(astronaut[:340], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    found = Mien().detect(np.asarray(small, dtype=np.uint8))
    centre = (ASTRONAUT[0] * factor, ASTRONAUT[1] * factor)
    assert any(np.hypot(*np.subtract(one.box.centre, centre)) < 0.2 * side for one in found)


@pytest.mark.parametrize("level", [0, 77, 128, 255])
@pytest.mark.parametrize("shape", [(480, 640), (20, 20), (1, 1), (1, 10_000), (10_000, 1), (3000, 60)])
def test_nothing_is_found_in_flat_images(level: int, shape: tuple[int, int]) -> None:
    assert Mien().detect(np.full((*shape, 3), level, np.uint8)) == []


def test_hardly_anything_is_found_in_noise() -> None:
    rng = np.random.default_rng(0)
    assert len(Mien().detect(rng.integers(0, 256, (1000, 1000, 3), dtype=np.uint8))) <= 1


def test_a_group_of_180_in_18_megapixels_is_found_completely(
    astronaut: NDArray[np.uint8], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_is_noted", module.threading.Lock())
    x, y = ASTRONAUT
    # 300 x 336 pixels with a face of 95, 12 x 15 times
    tile = cv2.resize(astronaut[: y + 238, x - 160 : x + 159], (300, 336), interpolation=cv2.INTER_AREA)
    group = np.tile(np.asarray(tile, dtype=np.uint8), (15, 12, 1))
    assert group.shape[0] * group.shape[1] > 18_000_000
    found = np.array([one.box.centre for one in Mien().detect(group)])
    centres = [(150 + 300 * i, 111 + 336 * j) for i in range(12) for j in range(15)]
    missed = [centre for centre in centres if np.hypot(*(found - centre).T).min() > 25]
    assert missed == []
    assert "faces are found from" in capsys.readouterr().err


def test_an_image_of_100_megapixels_takes_seconds() -> None:
    large = np.zeros((10_000, 10_000, 3), np.uint8)
    start = time.perf_counter()
    assert Mien().detect(large) == []
    assert time.perf_counter() - start < 30


def test_commands_use_it(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    Image.fromarray(astronaut).save(tmp_path / "astronaut.png")
    words = ["recognize", str(tmp_path / "astronaut.png"), "--format", "json"]
    by_default, by_name, too_large = (
        json.loads(CliRunner().invoke(app, [*words, *more]).stdout)["faces"]
        for more in ([], ["--detector", "mien@24"], ["--detector", "auto@400"])
    )
    assert len(by_default) == 1
    assert by_default == by_name
    assert "roll" in by_default[0]
    assert too_large == []


def test_a_job_with_the_shipped_file_does_not_name_a_path(tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(as_rgb(astronaut)).save(tmp_path / "in" / "astronaut.png")
    job = plan(tmp_path / "in", tmp_path / "out.parquet", ArchiveSettings(detector="auto@30"))
    assert job.detector == job.description["detector"] == "mien@30"
    assert len(job.description["detector_sha256"]) == 64
