"""Images made of two public-domain portraits: a large group photograph, and images of odd sizes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data
from matplotlib import get_data_path
from numpy.typing import NDArray

from mien.core.card import CropSpec
from mien.core.decoding import read_image
from mien.core.image import as_rgb, crop_face
from mien.core.types import Box

# The faces of astronaut and grace_hopper, as YuNet finds them.
FACES = (Box(178, 63, 90, 113), Box(183, 120, 170, 212))
# A cell of a group photograph, width and height, and the range of its face's longer side.
CELL = (272, 306)
SIDES = (85, 105)
CELLS = (3, 2)  # of a tile, across and down; the last one shows no face
LARGEST = 10_000


def group_photograph(tiles: int = 6) -> tuple[NDArray[np.uint8], list[Box]]:
    """Return an RGB photograph of `tiles` x `tiles` tiles of 816 x 612 pixels, five faces each, and its faces.

    Faces are about 95 pixels high, brighter and darker, half of them mirrored. Six by six tiles make 18 megapixels.
    """
    hopper = read_image(Path(get_data_path(), "sample_data", "grace_hopper.jpg"))
    portraits = [*zip((as_rgb(skimage.data.astronaut()), hopper), FACES, strict=True)]
    empty = np.asarray(cv2.resize(skimage.data.coffee(), CELL, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rng = np.random.default_rng(0)
    image = np.zeros((tiles * CELLS[1] * CELL[1], tiles * CELLS[0] * CELL[0], 3), dtype=np.uint8)
    faces = []
    for row in range(tiles * CELLS[1]):
        for column in range(tiles * CELLS[0]):
            x, y = column * CELL[0], row * CELL[1]
            cell = empty
            if not (column % CELLS[0] == CELLS[0] - 1 and row % CELLS[1] == CELLS[1] - 1):
                cell, face = _portrait(*portraits[rng.integers(len(portraits))], rng)
                faces.append(Box(x + face.x, y + face.y, face.width, face.height))
            image[y : y + CELL[1], x : x + CELL[0]] = cell
    return image, faces


def odd_images() -> dict[str, NDArray[np.uint8]]:
    """Return RGB images without a face: very small, narrow, large, flat, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    return {
        "1 x 1": noise[:1, :1],
        "1 x 10,000": np.tile(noise[:1], (1, LARGEST // 1000, 1)),
        "10,000 x 1": np.tile(noise[:, :1], (LARGEST // 1000, 1, 1)),
        "20 x 20": noise[:20, :20],
        "grey": np.full((480, 640, 3), 128, dtype=np.uint8),
        "black": np.zeros((480, 640, 3), dtype=np.uint8),
        "white": np.full((480, 640, 3), 255, dtype=np.uint8),
        "noise": noise[:480, :640],
        "100 megapixels, grey": np.full((LARGEST, LARGEST, 3), 128, dtype=np.uint8),
        "100 megapixels, noise": np.tile(noise, (LARGEST // 1000, LARGEST // 1000, 1)),
    }


def _portrait(portrait: NDArray[np.uint8], face: Box, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Box]:
    """Return a cell (h, w, 3) with the portrait around its face, and the face in it."""
    factor = rng.uniform(*SIDES) / face.height
    side = CELL[1] / factor  # of the part of the portrait that fills the cell's height
    centre = Box(face.centre[0] - side / 2, face.centre[1] - side / 2, side, side)
    square = cv2.resize(
        crop_face(portrait, centre, CropSpec(1, 0, 0)), (CELL[1], CELL[1]), interpolation=cv2.INTER_AREA
    )
    margin = (CELL[1] - CELL[0]) // 2
    cell = square[:, margin : margin + CELL[0]]
    if rng.random() < 0.5:
        cell = cell[:, ::-1]
    lit = np.clip(cell * rng.uniform(0.6, 1.2), 0, 255).astype(np.uint8)
    width, height = face.width * factor, face.height * factor
    return lit, Box((CELL[0] - width) / 2, (CELL[1] - height) / 2, width, height)
