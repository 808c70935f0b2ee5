"""Figures: maps drawn where they are, and files that are the same each time."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mien.core.errors import DataError
from mien.explain.figures import check_figure_paths, save_figure, scaled_map, show_map


def spot():
    values = np.zeros((24, 24), dtype=np.float32)
    values[4:8, 14:18] = 2
    return values


def drawn():
    """A map over a black face that fills the figure."""
    figure = Figure(figsize=(1, 1))
    show_map(figure.add_axes((0, 0, 1, 1)), np.zeros((24, 24), dtype=np.uint8), spot(), is_signed=False)
    return figure


def test_the_map_is_drawn_where_it_is_and_files_are_the_same_each_time(tmp_path):
    files = check_figure_paths([tmp_path / "one"])
    assert [file.name for file in files] == ["one.png", "one.svg"]
    save_figure(drawn, files)
    first = [file.read_bytes() for file in files]
    save_figure(drawn, files)
    assert first == [file.read_bytes() for file in files]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    image = cv2.imread(str(files[0])).astype(int)
    rows, columns = np.nonzero((image[..., 2] > 150) & (image[..., 0] < 160))
    assert columns.mean() / image.shape[1] == pytest.approx(16 / 24, abs=0.04)
    assert rows.mean() / image.shape[0] == pytest.approx(6 / 24, abs=0.04)


def test_wrong_names_of_figures_are_refused(tmp_path):
    for path, message in ((tmp_path / "one.bmp", "or no extension"), (tmp_path / "no" / "one", "create it first")):
        with pytest.raises(DataError, match=message):
            check_figure_paths([path])


def test_maps_are_scaled_for_the_eye():
    assert scaled_map(spot() + 3, is_signed=False).max() == 1
    assert scaled_map(spot() + 3, is_signed=False).min() == 0
    signed = scaled_map(spot() - 1, is_signed=True)
    assert (signed.min(), signed.max()) == (-1, 1)
    assert not scaled_map(np.full((4, 4), 7, np.float32), is_signed=False).any()
    assert not scaled_map(np.zeros((4, 4), np.float32), is_signed=True).any()
