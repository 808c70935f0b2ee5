"""The comparison of detectors: the images it makes, and what it records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from square_detector import SquareDetector, draw_squares, write_photographs
from tiny_model import tiny_card, tiny_network

from lab.benchmarks import detectors
from lab.benchmarks.portraits import group_photograph, odd_images
from mien.core.card import METADATA_KEY
from mien.evaluation.detector_scores import Finder, to_rows
from mien.inference.detectors.haar import Haar
from mien.inference.model import OnnxModel


def test_a_group_photograph_has_five_faces_in_a_tile() -> None:
    image, faces = group_photograph(tiles=1)
    assert image.shape == (612, 816, 3)
    assert len(faces) == 5
    assert all(84 < face.height < 106 for face in faces)
    matches = Finder(Haar()).judge(image, to_rows(faces), np.zeros(5, bool))["detector"]
    assert matches.is_found.sum() >= 4, "there are no faces where they should be"


def test_odd_images_are_rgb_and_up_to_100_megapixels() -> None:
    shapes = {kind: image.shape for kind, image in odd_images().items()}
    assert shapes["1 x 1"] == (1, 1, 3)
    assert shapes["1 x 10,000"] == (1, 10_000, 3)
    assert shapes["100 megapixels, noise"] == (10_000, 10_000, 3)


def test_photographs_have_a_label_without_names(tmp_path: Path) -> None:
    network = tiny_network()
    helper.set_model_props(network, {METADATA_KEY: tiny_card().to_json()})
    model = OnnxModel(network.SerializeToString(), "tiny")
    write_photographs(tmp_path, [([(10, 10, 30, 250), (150, 20, 40, 140)], [(10, 10, 30, 30), (60, 10, 30, 30)])])
    record = detectors.compare_photographs({"square": SquareDetector()}, model, tmp_path)
    assert record["label"] == "2 faces in 1 photograph"
    assert record["square"]["detector"] == {"found": 1, "false": 1, "recall": 0.5, "false_share": 0.5}
    assert record["square"]["rejection"]["false"] == 0
    assert str(tmp_path) not in json.dumps(record)


def test_times_are_ratios_to_yunet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "TIMED_IMAGES", 1)
    monkeypatch.setattr(detectors, "photographs", lambda: [draw_squares([], (640, 480))])
    faces = np.zeros((1, 48, 48), np.uint8)
    times = detectors.compare_times({"yunet": SquareDetector(), "other": SquareDetector()}, faces, rounds=2)
    assert times["yunet"]["ratio"] == 1
    assert times["other"]["ratio"] == pytest.approx(
        times["other"]["processor_ms"] / times["yunet"]["processor_ms"], rel=0.1
    )
    assert detectors.compare_times({"other": SquareDetector()}, faces, rounds=1)["other"]["ratio"] is None


def test_odd_images_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "odd_images", lambda: {"square": draw_squares([(1, 1, 5, 250)])})
    record = detectors.try_odd_images({"square": SquareDetector()})["square"]["square"]
    assert record["boxes"] == 1
    assert record["processor_seconds"] >= 0
    assert record["peak_mib"] is None or record["peak_mib"] >= 0
