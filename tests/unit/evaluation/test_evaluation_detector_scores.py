import json

import numpy as np
import pytest
from square_detector import SquareDetector, draw_squares, write_photographs
from tiny_model import tiny_card

from mien.core.decoding import read_image
from mien.core.errors import DataError, ModelError
from mien.data.box_files import read_boxes
from mien.evaluation.detection import match
from mien.evaluation.detector_scores import Finder, measure_faces, score_photographs
from mien.evaluation.detector_sheet import MistakeSheet, check_sheet
from mien.inference.recognizer import Recognizer

# one found, one missed (dark), one false; the flat ones are rejected by the tiny model
PHOTOGRAPHS = [
    ([(10, 10, 30, 250), (60, 10, 30, 60), (150, 20, 40, 140)], [(10, 10, 30, 30), (60, 10, 30, 30)]),
    ([(20, 20, 60, 250)], [(22, 18, 60, 60)]),
]


@pytest.fixture
def photographs(tmp_path):
    write_photographs(tmp_path, PHOTOGRAPHS)
    return read_boxes(tmp_path)


def test_found_and_false_by_condition_and_threshold(photographs):
    done = []
    scores = score_photographs(Finder(SquareDetector()), photographs, progress=done.append)
    stage = scores["stages"]["detector"]
    assert {key: scores[key] for key in ("detector", "model", "ignored")} == {
        "detector": "square",
        "model": None,
        "ignored": 0,
    }
    assert list(scores["stages"]) == ["detector"]
    assert [stage[key] for key in ("images", "faces", "found", "false")] == [2, 3, 2, 1]
    assert [(row["from"], row["faces"], row["found"]) for row in stage["by"]["size"]] == [(24, 2, 1), (48, 1, 1)]
    assert [(row["from"], row["found"]) for row in stage["by"]["brightness"]] == [(32, 0), (192, 1), (224, 1)]
    assert [(row["threshold"], row["found"], row["false"]) for row in stage["thresholds"][:3]] == [
        (0.5, 2, 1), (0.6, 2, 0), (0.7, 2, 0),
    ]  # fmt: skip
    assert stage["calibration"]["bins"][0]["share_faces"] == 0
    assert done == [1, 1]
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_the_rejection_is_a_second_stage(photographs, tiny_model):
    recognizer = Recognizer(tiny_model, SquareDetector())
    scores = score_photographs(Finder(recognizer.detector, recognizer), photographs)
    counts = [[stage[key] for key in ("found", "false")] for stage in scores["stages"].values()]
    assert scores["model"] == "tiny"
    assert counts == [[2, 1], [2, 0]]


def test_images_without_boxes_and_without_faces(tmp_path, tiny_model):
    write_photographs(tmp_path, [([], []), ([], [(1, 1, 9, 9)])])
    recognizer = Recognizer(tiny_model, SquareDetector())
    stage = score_photographs(Finder(recognizer.detector, recognizer), read_boxes(tmp_path))["stages"]["rejection"]
    assert [stage[key] for key in ("images", "faces", "found", "false")] == [2, 1, 0, 0]


def test_a_model_that_cannot_reject_is_an_error(make_model):
    recognizer = Recognizer(make_model(tiny_card(None), outputs=7), SquareDetector())
    with pytest.raises(ModelError, match="'tiny' has no output for non-faces"):
        Finder(recognizer.detector, recognizer)


def test_no_photographs_are_an_error():
    with pytest.raises(DataError, match="No photographs"):
        score_photographs(Finder(SquareDetector()), {})


def test_brightness_and_contrast_are_those_inside_the_image():
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, 10:] = 100
    boxes = np.array([(0, 0, 5, 5), (12, 2, 50, 4), (5, 0, 10, 8), (30, 0, 5, 5), (-9, -9, 5, 5)], dtype=float)
    side, brightness, contrast = measure_faces(image, boxes).T
    assert side.tolist() == [5, 50, 10, 5, 5]
    assert brightness[:3].tolist() == [0, 100, 50]
    assert contrast[:3].tolist() == [0, 0, 50]
    assert np.isnan([brightness[3:], contrast[3:]]).all()


def test_the_sheet_shows_misses_in_yellow_and_false_boxes_in_red(photographs, tmp_path):
    sheet = MistakeSheet()
    score_photographs(Finder(SquareDetector()), photographs, seen=sheet.add)
    assert (sheet.missed, sheet.false, sheet.is_complete) == (1, 1, True)
    sheet.save(tmp_path / "sheet.png")
    pixels = read_image(tmp_path / "sheet.png")
    assert pixels.shape == (190, 1280, 3)
    missed, false = pixels[:160, :160].reshape(-1, 3), pixels[:160, 160:320].reshape(-1, 3)
    assert (missed == (255, 220, 0)).all(axis=1).any()
    assert (false == (235, 40, 40)).all(axis=1).any()
    assert not (missed == (235, 40, 40)).all(axis=1).any()


def test_a_full_sheet_keeps_the_largest_misses(tmp_path):
    sheet = MistakeSheet()
    faces = np.array([(5, 5, side, side) for side in range(10, 140)], dtype=float)
    nothing = match(np.empty((0, 4)), np.empty(0), faces, np.zeros(len(faces), bool))
    sheet.add("a name that is longer than its tile is wide.png", draw_squares([]), nothing)
    assert sheet.missed == 130
    assert not sheet.is_complete
    sheet.save(tmp_path / "sheet.jpg")
    assert read_image(tmp_path / "sheet.jpg").shape == (15 * 190, 1280, 3)


def test_an_empty_sheet_is_a_file_too(tmp_path):
    MistakeSheet().save(tmp_path / "sheet.png")
    assert read_image(tmp_path / "sheet.png").shape == (190, 1280, 3)


def test_where_a_sheet_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=r"expected a file that ends in \.png or \.jpg"):
        check_sheet(tmp_path / "sheet.svg")
    with pytest.raises(DataError, match=r"No folder .*nowhere for sheet\.png"):
        check_sheet(tmp_path / "nowhere" / "sheet.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=r"folder\.png cannot be written"):
        MistakeSheet().save(tmp_path / "folder.png")
