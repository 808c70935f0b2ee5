"""A camera for a headless browser: a clip of two portraits, one of which moves from side to side.

Chromium plays the file in a loop. The background has one colour, so that a test can locate the moving portrait in a
frame.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE = 640, 480, 10
SECONDS = 8  # three at the left, one on the way, three at the right, one on the way back
BACKGROUND = (64, 84, 96)
PORTRAIT = 230  # pixels a side
TOP = 40
SWING = 60  # pixels to either side of the middle
MIDDLE = 80


def make_frame(moving: NDArray[np.uint8], still: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
    """Return the frame at a time, RGB (480, 640, 3): `moving` on the left, `still` on the right, both square."""
    frame = np.full((HEIGHT, WIDTH, 3), BACKGROUND, dtype=np.uint8)
    turn = 4 * abs(((time - 1.5) / SECONDS) % 1 - 0.5) - 1  # from 1 to -1 and back
    left = round(MIDDLE - SWING * min(max(4 * turn, -1.0), 1.0))
    frame[TOP : TOP + PORTRAIT, left : left + PORTRAIT] = cv2.resize(moving, (PORTRAIT, PORTRAIT))
    frame[TOP + 60 : TOP + 60 + PORTRAIT, 400 : 400 + PORTRAIT] = cv2.resize(still, (PORTRAIT, PORTRAIT))
    return frame


def write_clip(path: Path, moving: NDArray[np.uint8], still: NDArray[np.uint8], rate: int = RATE) -> None:
    """Write eight seconds of 640 x 480 at `rate` frames/s as YUV4MPEG2 (.y4m), which Chromium uses as a camera."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(SECONDS * rate):
            frame = make_frame(moving, still, index / rate)
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
