from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_detector import SCORE, SIDE, spots, tiny_detector_card, write_tiny_detector
from tiny_model import tiny_network

from mien.core.card import CropSpec
from mien.core.detector_card import METADATA_KEY
from mien.core.errors import ModelError
from mien.core.image import cut_square
from mien.inference.detectors import mien as module
from mien.inference.detectors.mien import Mien, to_detection


@pytest.fixture(autouse=True)
def _nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_is_noted", threading.Lock())


def test_a_face_is_the_square_that_is_cut(tiny_detector: Path) -> None:
    (found,) = Mien(tiny_detector, smallest_face=20).detect(spots((96, 64)))
    assert found.score == pytest.approx(SCORE)
    assert found.box.height > found.box.width
    square = cut_square(found.box, CropSpec())
    assert (*square.centre, square.width) == pytest.approx((100, 68, SIDE))
    assert found.landmarks == ()
    assert found.roll == 0


@pytest.mark.parametrize("roll", [-35, 20])
def test_a_turned_face_has_its_roll_and_the_same_square(tmp_path: Path, roll: float) -> None:
    (found,) = Mien(write_tiny_detector(tmp_path / "x.onnx", roll), smallest_face=20).detect(spots((96, 64)))
    assert found.roll == pytest.approx(roll, abs=1e-4)
    assert (*cut_square(found.box, CropSpec(), found.roll).centre,) == pytest.approx((100, 68))


def test_several_faces_come_best_first(tiny_detector: Path) -> None:
    image = spots((24, 24), (96, 64), (160, 120))
    image[image > 0] -= 5
    image[64:72, 96:104] = 255
    found = Mien(tiny_detector, smallest_face=20).detect(image)
    assert [round(d.box.centre[0]) for d in found] == [100, 28, 164]


@pytest.mark.parametrize(("size", "smallest_face"), [(16, 40), (32, 80), (4, 10), (4, 3)])
def test_the_smallest_face_is_in_pixels_of_the_image(tiny_detector: Path, size: int, smallest_face: float) -> None:
    (found,) = Mien(tiny_detector, smallest_face=smallest_face).detect(spots((96, 64), size=size, shape=(192, 256)))
    square = cut_square(found.box, CropSpec())
    assert (*square.centre, square.width) == pytest.approx((96 + size / 2, 64 + size / 2, SIDE * size / 8))


def test_faces_below_the_smallest_are_not_looked_for(tiny_detector: Path) -> None:
    assert Mien(tiny_detector, smallest_face=80).detect(spots((96, 64))) == []


def test_the_cards_threshold_decides(tmp_path: Path) -> None:
    image = spots((96, 64)) // 255 * 210  # logit 2.47, score 0.28
    strict = write_tiny_detector(tmp_path / "strict.onnx")
    lenient = write_tiny_detector(
        tmp_path / "lenient.onnx", card=dataclasses.replace(tiny_detector_card(), threshold=0.2)
    )
    assert Mien(strict, smallest_face=20).detect(image) == []
    assert len(Mien(lenient, smallest_face=20).detect(image)) == 1


def test_a_small_budget_finds_large_faces_only_and_says_so_once(
    tiny_detector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = Mien(tiny_detector, budget=40_000)
    large = spots((96, 64), shape=(600, 800))
    assert detector.detect(spots((96, 64), shape=(100, 100))) == []  # within the budget, but no cell is filled
    assert capsys.readouterr().err == ""
    for _ in range(2):
        detector.detect(large)
    Mien(tiny_detector, budget=40_000).detect(large)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "800 x 600 pixels, faces are found from 87 pixels on, not from 24" in line
    assert "at most 0.04 million pixels" in line
    assert "--detector mien@87" in line
    module._is_noted.release()
    Mien(tiny_detector, smallest_face=87, budget=40_000).detect(large)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1), (20, 20), (16, 20_000), (20_000, 40), (333, 17)])
def test_odd_shapes_are_searched(tiny_detector: Path, shape: tuple[int, int]) -> None:
    detector = Mien(tiny_detector, budget=100_000)
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for found in detector.detect(noise):
        assert 0 <= found.box.centre[0] <= shape[1]


def test_every_cell_of_a_large_image_may_be_a_face(tiny_detector: Path) -> None:
    found = Mien(tiny_detector).detect(np.full((1500, 2000, 3), 255, np.uint8))
    assert len(found) > 100


def test_threads_share_an_instance(tiny_detector: Path) -> None:
    detector = Mien(tiny_detector, smallest_face=20)
    images = [spots((8 * i, 64), shape=(160, 200 + 40 * i)) for i in range(1, 9)]
    alone = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.detect, images * 4)) == alone * 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smallest_face": 0}, r"smallest face is 0 pixels; expected a number above 0"),
        ({"smallest_face": float("nan")}, "smallest face is nan"),
        ({"smallest_face": float("inf")}, "smallest face is inf"),
        ({"budget": 10}, r"budget is 10 pixels; expected at least 10,000"),
    ],
)
def test_settings_out_of_range_are_refused(tiny_detector: Path, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Mien(tiny_detector, **settings)  # type: ignore[arg-type]


def test_other_files_are_refused(tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.onnx").write_text("no onnx")
    named = tiny_network()
    helper.set_model_props(named, {METADATA_KEY: tiny_detector_card().to_json()})
    onnx.save(named, tmp_path / "named.onnx")
    broken = onnx.load(write_tiny_detector(tmp_path / "tiny.onnx"))
    helper.set_model_props(broken, {METADATA_KEY: "{}"})
    onnx.save(broken, tmp_path / "broken.onnx")
    split = tmp_path / "split.onnx"
    onnx.save(tiny_network(), split, save_as_external_data=True, location="weights.bin", size_threshold=0)
    for path, message in (
        (tmp_path / "text.onnx", r"text\.onnx is not an ONNX model"),
        (tmp_path / "missing.onnx", r"missing\.onnx: no such model file"),
        (tmp_path, "is a folder"),
        (tiny_model, r"tiny\.onnx has no card of a mien face detector"),
        (tmp_path / "named.onnx", r"named\.onnx does not take \(n, 1, h, w\) uint8 named 'image'"),
        (tmp_path / "broken.onnx", "card is not of format 1"),
        (split, "keeps weights in another file"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            Mien(path)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_detection_of_any_square_and_roll_is_cut_where_it_was() -> None:
    rng = np.random.default_rng(0)
    for cx, cy, side, roll in rng.uniform(-50, 200, (20, 4)):
        found = to_detection(cx, cy, abs(side) + 1, 0.5, roll)
        square = cut_square(found.box, CropSpec(), found.roll)
        assert (*square.centre, square.width) == pytest.approx((cx, cy, abs(side) + 1))
