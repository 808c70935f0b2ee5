"""What a detector's maps should be for a scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.composer import SIDE, Scene
from mien.models.face_detector import STRIDE

CELLS = SIDE // STRIDE
CHANNELS = 7
# Faces between these sides are the task of this level of the pyramid; others belong to the next level, too.
SUREST = (18.0, 41.0)
WEIGHT_BESIDE = 0.5
REFERENCE_SIDE = 28.0
# Cells count as a face's centre up to this distance, in sides of the face, or in pixels if that is more.
NEAR, NEAR_PIXELS = 0.2, 4.2
# Cells between the centre and this distance count neither way.
AROUND = 0.4
_CENTRES = np.arange(CELLS) * STRIDE + STRIDE / 2


def make_target(scene: Scene) -> NDArray[np.float32]:
    """Return (7, 16, 16): is a face, weight, x, y, log side, sine and cosine of the roll (both 0: unknown)."""
    target = np.zeros((CHANNELS, CELLS, CELLS), dtype=np.float32)
    target[1] = 1
    for cx, cy, side in scene.ignored:
        radius = 6 if side < 10 else side * 0.55
        target[1][_distance(cx, cy) < radius] = 0
    for cx, cy, side, _ in scene.faces:
        target[1][_distance(cx, cy) < side * AROUND] = 0
    for cx, cy, side, roll in scene.faces:
        is_near = _distance(cx, cy) < max(side * NEAR, NEAR_PIXELS)
        target[0][is_near] = 1
        target[1][is_near] = 1 if SUREST[0] <= side <= SUREST[1] else WEIGHT_BESIDE
        target[2][is_near] = np.broadcast_to((cx - _CENTRES) / STRIDE, (CELLS, CELLS))[is_near]
        target[3][is_near] = np.broadcast_to((cy - _CENTRES[:, None]) / STRIDE, (CELLS, CELLS))[is_near]
        target[4][is_near] = np.log(side / REFERENCE_SIDE)
        angle = np.deg2rad(roll)
        target[5][is_near], target[6][is_near] = (0, 0) if np.isnan(roll) else (np.sin(angle), np.cos(angle))
    return target


def _distance(cx: float, cy: float) -> NDArray[np.float64]:
    """Return each cell's distance from a point, (16, 16): the larger of both coordinates."""
    distance: NDArray[np.float64] = np.maximum(np.abs(_CENTRES - cx), np.abs(_CENTRES - cy)[:, None])
    return distance
