"""A detector whose boxes are known beforehand, and photographs to try it on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.types import Box, Detection


class SquareDetector:
    """Finds bright squares; the score is a 255th of the grey value."""

    name = "square"

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        grey = np.asarray(image)[:, :, 0]
        contours, _ = cv2.findContours((grey > 100).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        corners = [cv2.boundingRect(contour) for contour in contours]
        return [Detection(Box(*map(float, box)), float(grey[box[1], box[0]]) / 255) for box in corners]


Square = tuple[int, int, int, int]


def draw_squares(squares: Sequence[Square], size: tuple[int, int] = (200, 100)) -> NDArray[np.uint8]:
    """Return RGB with squares: x, y, side and grey value. Those brighter than 220 are checked, so not flat."""
    image = np.full((size[1], size[0], 3), 90, dtype=np.uint8)
    for x, y, side, grey in squares:
        image[y : y + side, x : x + side] = grey
        if grey > 220:
            image[y + side // 3 : y + side // 3 * 2, x + side // 3 : x + side // 3 * 2] = 101
    return image


def write_photographs(folder: Path, photographs: Sequence[tuple[Sequence[Square], Sequence[Sequence[float]]]]) -> None:
    """Write photographs of squares with annotated boxes (x, y, width, height) in a COCO file."""
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (squares, boxes) in enumerate(photographs):
        name = f"{number}.png"
        Image.fromarray(draw_squares(squares)).save(folder / name)
        images.append({"id": number, "file_name": name})
        annotations += [{"image_id": number, "bbox": list(box)} for box in boxes]
    (folder / "boxes.json").write_text(json.dumps({"images": images, "annotations": annotations}))
