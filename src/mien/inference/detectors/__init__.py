"""Face detectors: one file each, found by name.

Each file defines one class with a `name` and a method `detect`; what it needs (weights, settings) is in the same file.
All of them give the same box: tight, from the forehead to the chin and from cheek to cheek, as YuNet's.
Other packages add theirs with an entry point of the group `mien.detectors`, users with `--plugin FILE`.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Detection

LONG_SIDE = 640


class Detector(Protocol):
    """Finds the faces in an image. Instances are safe to share between threads.

    Four attributes are optional: `is_whole_image` (True: every image is one face), `is_concurrent` (True: threads need
    not wait for one another), `weights` (the path of the model file in use) and `sha256` (of that file). A class that
    takes the keyword `smallest_face` can be given it after its name, as in `mien@40`.
    """

    @property
    def name(self) -> str:
        """The detector's name on the command line."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an upright RGB image (h, w, 3), boxes in its pixels."""
        ...


def remove_duplicates(detections: list[Detection], overlap: float = 0.7) -> list[Detection]:
    """Keep the best-scored of boxes that share more than `overlap` of the smaller one's area, best first."""
    best_first = sorted(detections, key=lambda d: -d.score)
    corners = np.array([(d.box.x, d.box.y, d.box.x + d.box.width, d.box.y + d.box.height) for d in best_first])
    areas = np.array([d.box.width * d.box.height for d in best_first])
    kept: list[int] = []
    for i, (left, top, right, bottom) in enumerate(corners):
        others = corners[kept]
        width = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
        height = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        if (shared <= overlap * np.minimum(areas[i], areas[kept])).all():
            kept.append(i)
    return [best_first[i] for i in kept]


def reduce_image(image: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Return the image with a long side of at most 640 pixels, and the factor it was reduced by."""
    height, width = image.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    if factor == 1:
        return image, factor
    shape = (max(round(width * factor), 1), max(round(height * factor), 1))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA), factor
