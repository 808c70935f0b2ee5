import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from mien.explain.figures import check_figure_paths, save_figure, scaled_map
from mien.explain.gallery import Cell, Gallery, choose_rows, describe_score, make_headings
from mien.explain.gallery_figure import COLOURS, draw_gallery


def face(seed=0, shape=(24, 24)):
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def spot():
    values = np.zeros((24, 24), dtype=np.float32)
    values[4:8, 14:18] = 2
    return values


def gallery(notes=("accuracy 71.00 % on fer2013 validation",)):
    cells = (
        (Cell(face(1), spot(), False, "happy 93 %", True), Cell(face(1), -spot(), True, "happy 80 %", True)),
        (Cell(face(2), spot(), False, "fear 51 %", False), Cell(face(2), np.ones((24, 24)), False, "sad 61 %", True)),
    )
    return Gallery("Grad-CAM", ("happy", "sad"), ("full", "no <fft> & $x$"), (face(1), face(2)), cells, notes)


def test_a_gallery_is_written_as_png_and_svg_the_same_each_time(tmp_path):
    files = check_figure_paths([tmp_path / "one"])
    assert [file.name for file in files] == ["one.png", "one.svg"]
    save_figure(lambda: draw_gallery(gallery()), files)
    first = [file.read_bytes() for file in files]
    save_figure(lambda: draw_gallery(gallery()), files)
    assert first == [file.read_bytes() for file in files]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert cv2.imread(str(files[0])).std() > 10
    drawing = ET.fromstring(first[1])  # noqa: S314 - made here
    # glyphs are paths in the SVG; the text they were made of stands in comments
    words = first[1].decode("utf-8")
    for said in ("happy 93 %", "no &lt;fft", "accuracy 71.00 %"):
        assert said in words
    assert drawing.tag.endswith("svg")
    assert all(colour.lower() in words for colour in COLOURS["blue-orange"])


def test_the_map_is_drawn_where_it_is(tmp_path):
    """The brightest heat of the image lies over the spot: neither mirrored nor moved."""
    dark = np.zeros((24, 24), dtype=np.uint8)
    one = Gallery("", ("happy",), ("full",), (dark,), ((Cell(dark, spot(), False, "", None),),), ())
    path = tmp_path / "one.png"
    save_figure(lambda: draw_gallery(one), [path])
    image = cv2.imread(str(path)).astype(int)
    dark_rows, dark_columns = np.nonzero(image.sum(axis=2) == 0)
    warm = (image[..., 2] > 150) & (image[..., 0] < 160)
    rows, columns = np.nonzero(warm)
    # the second of the two black squares is the map's
    left = dark_columns[dark_columns > image.shape[1] * 0.6].min()
    right, top, bottom = dark_columns.max(), dark_rows.min(), dark_rows.max()
    assert (columns.mean() - left) / (right - left) == pytest.approx(16 / 24, abs=0.04)
    assert (rows.mean() - top) / (bottom - top) == pytest.approx(6 / 24, abs=0.04)


def test_maps_are_scaled_for_the_eye():
    assert scaled_map(spot() + 3, is_signed=False).max() == 1
    assert scaled_map(spot() + 3, is_signed=False).min() == 0
    signed = scaled_map(spot() - 1, is_signed=True)
    assert (signed.min(), signed.max()) == (-1, 1)
    assert not scaled_map(np.full((4, 4), 7, np.float32), is_signed=False).any()
    assert not scaled_map(np.zeros((4, 4), np.float32), is_signed=True).any()


def test_faces_are_drawn_at_random_and_always_the_same():
    labels = np.array([0, 1, 0, 0, 1, 0, 3])
    few, more = choose_rows(labels, 4, 1), choose_rows(labels, 4, 3)
    assert [len(rows) for rows in more] == [3, 2, 0, 1]
    for number, (some, all_rows) in enumerate(zip(few, more, strict=True)):
        assert (labels[all_rows] == number).all()
        np.testing.assert_array_equal(all_rows[: len(some)], some)
    assert any((choose_rows(labels, 4, 1, seed)[0] != few[0]).any() for seed in range(1, 9))


def test_headings_say_only_what_differs():
    assert make_headings(["a", "b"], ["gradcam"]) == ("a", "b")
    assert make_headings(["a"], ["gradcam", "layercam"]) == ("gradcam", "layercam")
    assert make_headings(["a", "b"], ["x", "y"]) == ("a: x", "a: y", "b: x", "b: y")


def test_scores_are_described_with_their_selection():
    scores = {"accuracy": 0.7123, "dataset": "fer2013", "split": "validation", "selection": {"rule": "last epoch"}}
    assert describe_score(scores) == "accuracy 71.23 % on fer2013 validation (last epoch)"
    assert describe_score({}) == describe_score(None) == "accuracy not measured"
