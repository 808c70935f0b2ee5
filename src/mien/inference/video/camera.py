"""Cameras of this machine, through OpenCV: it numbers them alike on all systems and is in the base installation."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
from cv2.utils import logging

from mien.inference.video.frames import CAMERA, Frame, VideoError


class Camera:
    """A camera of this machine, `camera:0` being the first; frames carry the time at which they came."""

    is_live = True
    length: int | None = None

    def __init__(self, source: str) -> None:
        """Open the camera; `VideoError` when it is not there or in use."""
        self.name = source
        number = source.removeprefix(CAMERA)
        if not number.isascii() or not number.isdigit() or len(number) > 3:
            raise VideoError(f"{source}: a camera is named by its number, as camera:0.")
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # what OpenCV logs, the error below says
        try:
            self._capture = cv2.VideoCapture(int(number))
        finally:
            logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise VideoError(f"{source} cannot be opened: no such camera, or another program uses it.")
        self.rate: float | None = float(self._capture.get(cv2.CAP_PROP_FPS)) or None
        sides = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        self.frame_pixels: int | None = int(sides[0] * sides[1]) or None

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the camera gives none any more, which is an error."""
        start, index = time.monotonic(), 0
        while self._capture.isOpened():
            is_there, pixels = self._capture.read()
            if not is_there or pixels is None:
                raise VideoError(f"{self.name} gives no pictures any more after {index:,} frames; is it unplugged?")
            at = time.monotonic() - start
            yield Frame(index, at, np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8))
            index += 1

    def close(self) -> None:
        """Let other programs have the camera."""
        self._capture.release()
