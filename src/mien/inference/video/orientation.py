"""Turn a decoded frame upright: rotated, mirrored or both, as its display matrix says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def upright(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return pixels (h, w, 3) as a player shows them: (h, w, 3), or (w, h, 3) after a quarter turn.

    Args:
        pixels: The frame as it was stored.
        matrix: (9,), FFmpeg's display matrix [a, b, u, c, d, v, x, y, w]: a stored point (p, q) is shown at
            (a p + c q, b p + d q). Only the nearest of the eight orientations without distortion is applied.
    """
    a, b, _, c, d = (float(value) for value in matrix[:5])
    is_turned = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if is_turned else (a, d)
    if is_turned:
        pixels = pixels.swapaxes(0, 1)
    if across < 0:
        pixels = pixels[:, ::-1]
    if down < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def display_matrix(frame: VideoFrame) -> NDArray[np.int32] | None:
    """Return a frame's display matrix (9,), or None if it has none."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), dtype=np.int32)
