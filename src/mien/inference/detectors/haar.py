"""OpenCV's Haar cascade."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import cv2.data
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box, Detection
from mien.inference.detectors import reduce_image


class Haar:
    """The Haar cascade that ships with OpenCV (Viola and Jones, 2001): no download, frontal faces only."""

    name = "haar"

    # Of 29 settings tried on pasted faces: finds as many as the cascade "default", with a tenth of its false boxes.
    cascade = "haarcascade_frontalface_alt.xml"
    scale_factor = 1.1
    min_neighbours = 5
    smallest = 32  # pixels, at a long side of 640

    # Haar's square -> YuNet's box, as fractions of the square's side; medians of lab/benchmarks/crop.py.
    width = 0.86
    height = 1.09
    shift_x = 0.0
    shift_y = 0.015

    def __init__(self) -> None:
        self._classifier: Any = cv2.CascadeClassifier(cv2.data.haarcascades + self.cascade)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Haar], tuple[()]]:
        """Return what is pickled: the cascade is loaded again."""
        return type(self), ()

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an upright RGB image (h, w, 3), without landmarks."""
        small, factor = reduce_image(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        with self._lock:  # the classifier holds its image pyramid
            squares, neighbours = self._classifier.detectMultiScale2(
                small,
                scaleFactor=self.scale_factor,
                minNeighbors=self.min_neighbours,
                minSize=(self.smallest, self.smallest),
            )
        return [
            Detection(self._box(*square).scaled(1 / factor), score=float(n / (n + self.min_neighbours)))
            for square, n in zip(squares, neighbours, strict=True)
        ]

    def _box(self, x: float, y: float, side: float, _: float) -> Box:
        centre_x, centre_y = x + side * (0.5 + self.shift_x), y + side * (0.5 + self.shift_y)
        width, height = side * self.width, side * self.height
        return Box(float(centre_x - width / 2), float(centre_y - height / 2), float(width), float(height))
