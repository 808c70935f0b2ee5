"""Photographs to draw scenes on, the faces that are known in them, and cut-out objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.card import CropSpec
from mien.core.decoding import SUFFIXES, read_image
from mien.core.errors import DataError
from mien.data.box_files import LabelledBox, read_boxes

# Larger photographs are reduced while they are loaded, so that thousands fit into memory.
LARGEST_PHOTOGRAPH = 1_000_000
SMALLEST_SIDE = 64
LARGEST_OBJECT = 160
HELD_BACK_EVERY = 5


@dataclass(frozen=True)
class Photograph:
    """A grey photograph (h, w) and the faces in it.

    Attributes:
        image: (h, w) uint8.
        name: Its path below the folder of the scenes.
        faces: (n, 3) float64, rows cx, cy, side: as the recognizer crops them.
        is_ignored: (n,) True for faces that are neither to be found nor to be missed.
    """

    image: NDArray[np.uint8] = field(repr=False)
    name: str
    faces: NDArray[np.float64]
    is_ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class Scenes:
    """Photographs, and objects with transparency: (h, w, 2) uint8, grey and alpha."""

    photographs: Sequence[Photograph]
    objects: Sequence[NDArray[np.uint8]] = ()

    def divide(self) -> tuple[Scenes, Scenes]:
        """Return the scenes to train on, and every fifth photograph and object of them to be held back."""
        kept: list[list[Any]] = [[], [], [], []]
        for number, photograph in enumerate(self.photographs):
            kept[number % HELD_BACK_EVERY == 0].append(photograph)
        for number, thing in enumerate(self.objects):
            kept[2 + (number % HELD_BACK_EVERY == 0)].append(thing)
        return Scenes(kept[0], kept[2]), Scenes(kept[1], kept[3])


def load_scenes(folder: Path) -> Scenes:
    """Read all images below a folder, sorted by path.

    Images with transparency are objects. Boxes of faces come from COCO and Pascal VOC files, see `read_boxes`. A
    photograph without boxes must show nobody: its people would be learned as "no face".

    Raises:
        DataError: The folder holds no photographs, or its files of boxes are damaged.
        ImageError: An image cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"No folder {folder}; name a folder of photographs with --scenes DIR.")
    boxes = read_boxes(folder)
    photographs: list[Photograph] = []
    objects: list[NDArray[np.uint8]] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        if (cut_out := _read_object(path)) is not None:
            objects.append(cut_out)
        else:
            photographs.append(_read_photograph(path, path.relative_to(folder).as_posix(), boxes.get(path, [])))
    photographs = [each for each in photographs if min(each.image.shape) >= SMALLEST_SIDE]
    if not photographs:
        raise DataError(f"{folder} holds no photographs of at least {SMALLEST_SIDE} pixels; expected images in it.")
    return Scenes(photographs, objects)


def _read_photograph(path: Path, name: str, boxes: Sequence[LabelledBox]) -> Photograph:
    grey = np.asarray(cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    factor = min(1.0, (LARGEST_PHOTOGRAPH / grey.size) ** 0.5)
    if factor < 1:
        shape = (max(round(grey.shape[1] * factor), 1), max(round(grey.shape[0] * factor), 1))
        grey = np.asarray(cv2.resize(grey, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rows = [face_of_box(each) for each in boxes]
    faces = np.array(rows, dtype=np.float64).reshape(-1, 3) * factor
    return Photograph(grey, name, faces, np.array([each.is_ignored for each in boxes], dtype=bool))


def face_of_box(labelled: LabelledBox) -> tuple[float, float, float]:
    """Return cx, cy and side of the square that the recognizer crops around a box."""
    box, crop = labelled.box, CropSpec()
    side = crop.scale * (box.width * box.height) ** 0.5
    x, y = box.centre
    return x + crop.shift_x * side, y + crop.shift_y * side, side


def _read_object(path: Path) -> NDArray[np.uint8] | None:
    """Return a cut-out object, at most 160 pixels long; None for an image without transparency."""
    try:
        with Image.open(path) as image:
            if not image.has_transparency_data or image.width * image.height > LARGEST_PHOTOGRAPH:
                return None
            image.thumbnail((LARGEST_OBJECT, LARGEST_OBJECT))
            cut_out = np.asarray(image.convert("LA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # `read_image` says what is wrong with it
    return cut_out if cut_out[..., 1].min() < 128 else None
