"""A contact sheet of what a face detector got wrong: missed faces and false boxes, each with its surroundings."""

from __future__ import annotations

from dataclasses import dataclass
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
TILE, CAPTION, COLUMNS, LONGEST_LINE = 160, 30, 8, 26
# A tile shows the square of this many sides around a box.
AROUND = CropSpec(scale=3, shift_x=0, shift_y=0)


@dataclass(frozen=True)
class _Tile:
    """An image (TILE, TILE, 3) and two lines of text; the highest rank is shown first."""

    rank: float
    image: NDArray[np.uint8]
    lines: tuple[str, str]


class MistakeSheet:
    """Collects tiles; shows the largest missed faces, then the false boxes with the highest scores.

    Missed faces are yellow, false boxes red, found faces green.

    Args:
        missed, false: The most tiles of either kind, for each name or for all.
        by_name: Show the mistakes of each name on rows of their own.
    """

    def __init__(self, missed: int = 120, false: int = 120, *, by_name: bool = False) -> None:
        self.missed, self.false = 0, 0
        self._limits, self._by_name = (missed, false), by_name
        self._tiles: dict[str, tuple[list[_Tile], list[_Tile]]] = {}

    def add(self, name: str, pixels: NDArray[np.uint8], matches: Matches) -> None:
        """Add the mistakes of an RGB image (h, w, 3); `name` is written below them."""
        missed = matches.faces[~matches.is_found]
        false = matches.outcomes == FALSE
        self.missed += len(missed)
        self.false += int(false.sum())
        tiles = self._tiles.setdefault(name if self._by_name else "", ([], []))
        coloured = ((matches.boxes[matches.outcomes == HIT], GREEN), (matches.boxes[false], RED), (missed, YELLOW))
        for face, side in zip(missed, sides(missed), strict=True):
            tiles[0].append(_Tile(side, _draw(pixels, face, coloured), (name, f"missed, {side:.0f} px")))
        for box, score in zip(matches.boxes[false], matches.scores[false], strict=True):
            text = f"false, {score:.2f}, {max(box[2:]):.0f} px"
            tiles[1].append(_Tile(score, _draw(pixels, box, coloured), (name, text)))
        for kind, limit in zip(tiles, self._limits, strict=True):
            kind[:] = sorted(kind, key=lambda tile: -tile.rank)[:limit]

    @property
    def is_complete(self) -> bool:
        """Whether there is a tile for every mistake so far."""
        return self.missed + self.false == sum(len(kind) for tiles in self._tiles.values() for kind in tiles)

    def save(self, path: Path) -> None:
        """Write the sheet as the suffix says; `DataError` if it cannot be written."""
        groups = [missed + false for missed, false in self._tiles.values() if missed or false]
        rows = [group[first : first + COLUMNS] for group in groups for first in range(0, len(group), COLUMNS)]
        sheet = Image.new("RGB", (COLUMNS * TILE, max(len(rows), 1) * (TILE + CAPTION)), GREY)
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
        for row, tiles in enumerate(rows):
            for column, tile in enumerate(tiles):
                x, y = column * TILE, row * (TILE + CAPTION)
                sheet.paste(Image.fromarray(tile.image), (x, y))
                for line, text in enumerate(tile.lines):
                    shown = text if len(text) <= LONGEST_LINE else f"...{text[3 - LONGEST_LINE :]}"
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
