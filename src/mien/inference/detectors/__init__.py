"""Face detectors: one file each, found by name.

Each file defines one class with a `name` and a method `detect`; what it needs (weights, settings) is in the same file.
All of them give YuNet's box: tight, from the forehead to the chin and from cheek to cheek.
Other packages add theirs with an entry point of the group `mien.detectors`, users with `--plugin FILE`.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box, Detection

LONG_SIDE = 640


class Detector(Protocol):
    """Finds the faces in an image. Instances are safe to share between threads.

    Two attributes are optional: `is_whole_image` (True: every image is one face) and
    `weights` (the path of the model file in use).
    """

    @property
    def name(self) -> str:
        """The detector's name on the command line."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an upright RGB image (h, w, 3), boxes in its pixels."""
        ...


def remove_duplicates(detections: list[Detection], overlap: float = 0.7) -> list[Detection]:
    """Keep the best-scored of boxes that share more than `overlap` of the smaller one's area."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        if all(_overlap(detection.box, other.box) <= overlap for other in kept):
            kept.append(detection)
    return kept


def reduce_image(image: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Return the image with a long side of at most 640 pixels, and the factor it was reduced by."""
    height, width = image.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    if factor == 1:
        return image, factor
    shape = (max(round(width * factor), 1), max(round(height * factor), 1))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA), factor


def _overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share, as a fraction of the smaller one."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    smaller = min(a.width * a.height, b.width * b.height)
    return max(width, 0.0) * max(height, 0.0) / smaller if smaller > 0 else 0.0
