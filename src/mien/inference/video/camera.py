"""Local cameras through OpenCV: it numbers them the same way on all systems and is in the base installation."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
from cv2.utils import logging

from mien.inference.video.frames import CAMERA, Frame, VideoError


class Camera:
    """A local camera; `camera:0` is the first. A frame's time is that of its arrival."""

    is_live = True
    length: int | None = None

    def __init__(self, source: str) -> None:
        """Open the camera; `VideoError` if it is absent or in use."""
        self.name = source
        number = source.removeprefix(CAMERA)
        if not number.isascii() or not number.isdigit() or len(number) > 3:
            raise VideoError(f"{source} is not a camera; expected a number, such as camera:0.")
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # the error below replaces OpenCV's messages
        try:
            self._capture = cv2.VideoCapture(int(number))
        finally:
            logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise VideoError(f"{source} cannot be opened: there is no such camera, or another program uses it.")
        self.rate: float | None = float(self._capture.get(cv2.CAP_PROP_FPS)) or None
        sides = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        self.frame_pixels: int | None = int(sides[0] * sides[1]) or None

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the camera stops, which raises `VideoError`."""
        start, index = time.monotonic(), 0
        while self._capture.isOpened():
            is_read, pixels = self._capture.read()
            if not is_read or pixels is None:
                raise VideoError(f"{self.name} stopped after {index:,} frames; it may be unplugged.")
            elapsed = time.monotonic() - start
            yield Frame(index, elapsed, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8))
            index += 1

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
