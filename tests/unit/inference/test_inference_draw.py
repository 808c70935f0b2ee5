from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import ImageError
from mien.core.expressions import COLOURS
from mien.core.types import Box, Face
from mien.inference.draw import draw_faces, save_drawing


def happy(*boxes: Box) -> list[Face]:
    return [Face(box, 0.9, "happy", {"happy": 0.8, "sad": 0.2}) for box in boxes]


def test_box_and_label_are_drawn_on_a_copy() -> None:
    image = np.zeros((150, 200, 3), np.uint8)
    drawn = draw_faces(image, happy(Box(50, 60, 80, 60)))
    assert not image.any()
    assert drawn.shape == image.shape
    assert drawn[90, 50].tolist() == list(COLOURS["happy"])  # the left edge
    assert not drawn[80:110, 60:120].any()  # the face stays visible
    assert drawn[40:60, 50:120].any(axis=2).mean() > 0.3  # the label above


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((1, 1, 3), Box(0, 0, 1, 1)),
        ((30, 2000, 3), Box(5, 5, 20, 20)),
        ((900, 1200, 3), Box(-100, -100, 1500, 1300)),
        ((100, 100, 3), Box(90, 90, 3, 3)),
    ],
)
def test_any_size_can_be_drawn(shape: tuple[int, ...], box: Box) -> None:
    drawn = draw_faces(np.zeros(shape, np.uint8), happy(box))
    assert drawn.shape == shape
    assert drawn.any()


def test_saving_never_overwrites(tmp_path: Path) -> None:
    image = np.full((10, 10, 3), 99, np.uint8)
    folder = tmp_path / "new" / "out"
    assert save_drawing(image, [], "one/a.png", folder) == folder / "a.png"
    assert save_drawing(image, [], "two/a.png", folder) == folder / "a-2.png"
    assert save_drawing(image, [], "a.webp", folder) == folder / "a.jpg"
    assert np.asarray(Image.open(folder / "a-2.png"))[0, 0].tolist() == [99, 99, 99]
    source = tmp_path / "b.jpg"
    source.write_bytes(b"precious")
    assert save_drawing(image, [], str(source), tmp_path) == tmp_path / "b-2.jpg"
    assert source.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="cannot be saved there"):
        save_drawing(np.zeros((5, 5, 3), np.uint8), [], "a.png", tmp_path / "file")
