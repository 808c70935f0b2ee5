"""A contact sheet of what a face detector got wrong: missed faces and false boxes, each with its surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.core.card import CropSpec
from mien.core.errors import DataError
from mien.core.image import crop_face, cut_square
from mien.core.types import Box
from mien.evaluation.detection import FALSE, HIT, Matches, Rows, sides

YELLOW, RED, GREEN, GREY = (255, 220, 0), (235, 40, 40), (60, 180, 75), (40, 40, 40)
SUFFIXES = (".png", ".jpg")
TILE, CAPTION, COLUMNS = 160, 30, 8
# A tile shows the square of this many sides around a box.
AROUND = CropSpec(scale=3, shift_x=0, shift_y=0)
# The tiles of either kind that a sheet shows at most.
MOST_TILES = 120


@dataclass(frozen=True)
class _Tile:
    """A picture (TILE, TILE, 3) and two lines of text; the highest rank is shown first."""

    rank: float
    picture: NDArray[np.uint8]
    lines: tuple[str, str]


class MistakeSheet:
    """Collects tiles; shows the largest missed faces and the false boxes with the highest scores, 120 of each at most.

    Missed faces are yellow, false boxes red, found faces green.
    """

    def __init__(self) -> None:
        self.missed, self.false = 0, 0
        self._missed: list[_Tile] = []
        self._false: list[_Tile] = []

    def add(self, name: str, pixels: NDArray[np.uint8], matches: Matches) -> None:
        """Add the mistakes of an RGB image (h, w, 3); `name` is written below them."""
        missed = matches.faces[~matches.is_found]
        false = matches.outcomes == FALSE
        coloured = ((matches.boxes[matches.outcomes == HIT], GREEN), (matches.boxes[false], RED), (missed, YELLOW))
        for face, side in zip(missed, sides(missed), strict=True):
            self._missed.append(_Tile(side, _draw(pixels, face, coloured), (name, f"missed, {side:.0f} px")))
        for box, score in zip(matches.boxes[false], matches.scores[false], strict=True):
            text = f"false, {score:.2f}, {max(box[2:]):.0f} px"
            self._false.append(_Tile(score, _draw(pixels, box, coloured), (name, text)))
        self.missed += len(missed)
        self.false += int(false.sum())
        self._missed, self._false = _best(self._missed), _best(self._false)

    @property
    def is_complete(self) -> bool:
        """Whether there is a tile for every mistake so far."""
        return (self.missed, self.false) == (len(self._missed), len(self._false))

    def save(self, path: Path) -> None:
        """Write the sheet, missed faces first, as the suffix says; `DataError` if it cannot be written."""
        tiles = self._missed + self._false
        rows = max(ceil(len(tiles) / COLUMNS), 1)
        sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), GREY)
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
        for number, tile in enumerate(tiles):
            x, y = number % COLUMNS * TILE, number // COLUMNS * (TILE + CAPTION)
            sheet.paste(Image.fromarray(tile.picture), (x, y))
            for line, text in enumerate(tile.lines):
                shown = text if len(text) <= 26 else f"...{text[-23:]}"
                draw.text((x + 3, y + TILE + 1 + 14 * line), shown, font=font, fill="white")
        try:
            sheet.save(path)
        except OSError as error:
            raise DataError(f"{path} cannot be written ({error.strerror or error}).") from None


def check_sheet(path: Path) -> None:
    """Raise `DataError` now if a sheet could not be written to `path` after minutes of work."""
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"--sheet {path}: expected a file that ends in {' or '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise DataError(f"No folder {path.parent} for {path.name}; make it first.")


def _best(tiles: list[_Tile]) -> list[_Tile]:
    return sorted(tiles, key=lambda tile: -tile.rank)[:MOST_TILES]


def _draw(
    pixels: NDArray[np.uint8], box: Rows, coloured: tuple[tuple[Rows, tuple[int, int, int]], ...]
) -> NDArray[np.uint8]:
    """Return the surroundings of a box, (TILE, TILE, 3), with all boxes in their colours."""
    centre = Box(*box.tolist())
    window = cut_square(centre, AROUND)
    crop = crop_face(pixels, centre, AROUND)
    way = cv2.INTER_AREA if crop.shape[0] > TILE else cv2.INTER_LINEAR
    tile = np.asarray(cv2.resize(crop, (TILE, TILE), interpolation=way), dtype=np.uint8)
    factor = TILE / window.width
    for rows, colour in coloured:
        for x, y, width, height in rows:
            first = round((x - window.x) * factor), round((y - window.y) * factor)
            last = round((x + width - window.x) * factor), round((y + height - window.y) * factor)
            cv2.rectangle(tile, first, last, colour, 2)
    return tile
