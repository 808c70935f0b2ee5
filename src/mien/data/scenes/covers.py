"""Things that cover parts of a face: a hat or fringe, sunglasses, a mask, a beard, something in front."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.surfaces import Grey, Surfaces

FACE = 48  # pixels of a face's side
_ROWS, _COLUMNS = np.mgrid[0:FACE, 0:FACE].astype(np.float32)


def hat(face: Grey, surfaces: Surfaces) -> Grey:
    """Cover the forehead, as a hat, a scarf or a fringe does."""
    rng = surfaces.rng
    low, tilt = int(rng.uniform(4, 15)), rng.uniform(-6, 6)
    corners: list[list[float]] = [[0, 0], [47, 0], [47, low + tilt], [24, low - rng.uniform(0, 3)], [0, low - tilt]]
    return _blend(face, surfaces.texture(FACE, FACE), _polygon(corners))


def sunglasses(face: Grey, surfaces: Surfaces) -> Grey:
    """Cover the eyes with dark glasses, some of them half transparent."""
    rng = surfaces.rng
    mask = _blank()
    y, apart = int(rng.uniform(15, 20)), int(rng.uniform(8, 12))
    axes = (int(rng.uniform(6, 9)), int(rng.uniform(4, 7)))
    for x in (24 - apart, 24 + apart):
        cv2.ellipse(mask, (x, y), axes, 0, 0, 360, 1.0, -1)
    cv2.line(mask, (24 - apart, y - 2), (24 + apart, y - 2), 1.0, 1)
    return _blend(face, surfaces.texture(FACE, FACE, rng.uniform(0, 70)), mask * rng.uniform(0.6, 1))


def mask(face: Grey, surfaces: Surfaces) -> Grey:
    """Cover mouth, chin and cheeks with cloth."""
    rng = surfaces.rng
    y = rng.uniform(24, 30)
    corners: list[list[float]] = [[0, y + 3], [24, y - 3], [47, y + 3], [46, 47], [2, 47]]
    return _blend(face, surfaces.texture(FACE, FACE, rng.uniform(60, 240)), _polygon(corners))


def beard(face: Grey, surfaces: Surfaces) -> Grey:
    """Cover chin and cheeks with hair, more or less dense."""
    rng = surfaces.rng
    distance = ((_COLUMNS - 24) / 22) ** 2 + ((_ROWS - 26) / 24) ** 2
    is_outside = distance > rng.uniform(0.4, 0.7)
    area = (is_outside & (rng.uniform(26, 33) < _ROWS)).astype(np.float32)
    area = np.asarray(cv2.GaussianBlur(area, (5, 5), 0), dtype=np.float32) * rng.uniform(0.4, 1)
    return _blend(face, surfaces.texture(FACE, FACE, rng.uniform(5, 130)), area)


def something_in_front(face: Grey, surfaces: Surfaces) -> Grey:
    """Cover an ellipse of the lower half, as a hand, a cup or a microphone does."""
    rng = surfaces.rng
    surface, area = surfaces.texture(FACE, FACE), _blank()
    centre = (int(rng.uniform(4, 44)), int(rng.uniform(28, 50)))
    axes = (int(rng.uniform(5, 14)), int(rng.uniform(5, 12)))
    cv2.ellipse(area, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
    return _blend(face, surface, area)


Cover = Callable[[Grey, Surfaces], Grey]
# Each cover and the share of the faces that wear it.
COVERS: dict[str, tuple[Cover, float]] = {
    "hat": (hat, 0.14),
    "sunglasses": (sunglasses, 0.10),
    "mask": (mask, 0.07),
    "beard": (beard, 0.10),
    "something in front": (something_in_front, 0.05),
}


def cover_some(face: Grey, surfaces: Surfaces) -> Grey:
    """Cover a face (48, 48), or leave it as it is, in the shares of `COVERS`."""
    drawn = surfaces.rng.random()
    for cover, share in COVERS.values():
        if drawn < share:
            return cover(face, surfaces)
        drawn -= share
    return face


def _blank() -> Grey:
    return np.zeros((FACE, FACE), dtype=np.float32)


def _polygon(corners: Sequence[Sequence[float]]) -> Grey:
    area = _blank()
    cv2.fillPoly(area, [np.array(corners, dtype=np.int32)], 1.0)
    return area


def _blend(face: Grey, surface: Grey, opacity: NDArray[np.float32]) -> Grey:
    blended: Grey = face + (surface - face) * opacity
    return blended
