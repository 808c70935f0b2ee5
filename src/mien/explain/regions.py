"""Face regions, and the share of a map's evidence in each.

Regions are drawn around five landmarks: right eye, left eye, nose tip, right and left corner of the mouth (the person's
right). If no detector finds them, those of a mean face are used (`MEAN_FACE`).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.inference.detectors import Detector

REGIONS = ("eyes", "brows", "nose", "mouth", "rest of the face", "outside")
# In drawing order: later regions cover earlier ones.
OUTSIDE, REST, NOSE, BROWS, MOUTH, EYES = (
    REGIONS.index(name) for name in ("outside", "rest of the face", "nose", "brows", "mouth", "eyes")
)
Source = Literal["landmarks", "mean face"]
Landmarks = NDArray[np.float64]

# Five landmarks (x, y) as fractions of the crop's width and height: medians of YuNet's on FER2013's images, made
# symmetric and rounded (results/face_regions.json, by lab/benchmarks/face_regions.py).
MEAN_FACE: Landmarks = np.array([[0.31, 0.38], [0.69, 0.38], [0.50, 0.59], [0.34, 0.75], [0.66, 0.75]])
# Detectors are trained on faces with surroundings: a crop is enlarged to about this side, in pixels, and padded by half
# of it with mean grey.
SEARCH_SIDE = 192
# Smallest area between a face's axes, as a fraction of the crop; below it the face is seen edge-on and has no regions.
SMALLEST_FRAME = 0.01


def find_landmarks(face: NDArray[np.uint8], detector: Detector) -> Landmarks | None:
    """Return the five landmarks of a face crop, (5, 2), as fractions of its width and height; None if not found.

    Args:
        face: (h, w) grey or (h, w, 3) RGB.
        detector: Any detector; without landmarks, the result is None.
    """
    height, width = face.shape[:2]
    factor = SEARCH_SIDE / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    large = cv2.resize(face if face.ndim == 3 else np.repeat(face[:, :, None], 3, axis=2), size)
    edge = SEARCH_SIDE // 2
    framed = cv2.copyMakeBorder(large, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    found = [d for d in detector.detect(np.asarray(framed, dtype=np.uint8)) if len(d.landmarks) == len(MEAN_FACE)]
    if not found:
        return None
    points = (np.array(max(found, key=lambda d: d.score).landmarks) - edge) / size
    return points if _has_frame(points) else None


def face_regions(height: int, width: int, landmarks: Landmarks | None = None) -> NDArray[np.int8]:
    """Return the region of each pixel centre, (height, width), as positions in `REGIONS`.

    Regions are ellipses and a wedge in the face's axes: one unit across from eye to eye, one unit down from the middle
    of the eyes to the middle of the mouth. So they follow a turned or tilted face.

    Args:
        height: Of the map, in pixels.
        width: Of the map, in pixels.
        landmarks: (5, 2) as fractions of width and height; None: those of the mean face.
    """
    points = MEAN_FACE if landmarks is None else landmarks
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    across, down = np.moveaxis(_in_face(points, np.stack(np.meshgrid(x, y), axis=-1)), -1, 0)
    (nose_across, nose_down), right, left = (_in_face(points, points[i]) for i in (2, 3, 4))
    middle, half = (right[0] + left[0]) / 2, abs(left[0] - right[0]) / 2
    progress = np.clip((down + 0.1) / (nose_down + 0.1), 0, 1)
    is_nose = np.abs(across - nose_across * progress) < 0.12 + 0.2 * progress
    regions = np.full((height, width), OUTSIDE, dtype=np.int8)
    regions[_ellipse(across, down, (0, 0.4), (1.05, 1.45))] = REST
    regions[is_nose & (down > -0.1) & (down < nose_down + 0.17)] = NOSE
    for side in (-0.5, 0.5):
        regions[_ellipse(across, down, (1.06 * side, -0.34), (0.44, 0.24))] = BROWS
    regions[_ellipse(across, down, (middle, 1.09), (half + 0.16, 0.4))] = MOUTH
    for side in (-0.5, 0.5):
        regions[_ellipse(across, down, (side, 0), (0.36, 0.22))] = EYES
    return regions


def area_shares(regions: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the share of the pixels in each of `REGIONS`; sums to 1."""
    return np.bincount(regions.ravel(), minlength=len(REGIONS)) / regions.size


def attribution_shares(values: NDArray[np.float32], regions: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the share of a map's evidence, the part above 0, in each of `REGIONS`; sums to 1.

    Args:
        values: (h, w), some of them above 0.
        regions: (h, w), from `face_regions`.
    """
    evidence = np.clip(values.astype(np.float64), 0, None)
    return np.asarray(np.bincount(regions.ravel(), weights=evidence.ravel(), minlength=len(REGIONS)) / evidence.sum())


def _in_face(points: Landmarks, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions (..., 2) in the face's axes: (0, 0) between the eyes, (0, 1) in the middle of the mouth."""
    origin = points[:2].mean(axis=0)
    return np.asarray((positions - origin) @ np.linalg.inv(_frame(points)))


def _frame(points: Landmarks) -> NDArray[np.float64]:
    """Return the face's axes as rows (2, 2): from eye to eye, and from between the eyes to the mouth."""
    return np.stack([points[1] - points[0], points[3:].mean(axis=0) - points[:2].mean(axis=0)])


def _has_frame(points: Landmarks) -> bool:
    return bool(np.isfinite(points).all() and abs(np.linalg.det(_frame(points))) > SMALLEST_FRAME)


def _ellipse(
    across: NDArray[np.float64], down: NDArray[np.float64], centre: tuple[float, float], half: tuple[float, float]
) -> NDArray[np.bool_]:
    return ((across - centre[0]) / half[0]) ** 2 + ((down - centre[1]) / half[1]) ** 2 < 1
