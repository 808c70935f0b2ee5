"""Which images of a data set show a frontal, uncovered face, as an old and independent detector sees it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.inference.detectors.haar import Haar

# Faces are scaled to this side, with a border of a quarter of it: large enough for the cascade, and quick.
SIDE = 72
BORDER = SIDE // 4


def find_frontal(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """Return (n,) whether OpenCV's cascade for frontal faces finds one of the image's size in its middle.

    Of FER2013's images it takes three of four: most of the others are turned, tilted or partly covered.

    Args:
        images: n grey images (h, w), each a face.
    """
    haar = Haar()
    return np.array([_is_frontal(haar, image) for image in images], dtype=np.bool_)


def _is_frontal(haar: Haar, image: NDArray[np.uint8]) -> bool:
    scaled = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(scaled, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    middle = SIDE / 2 + BORDER
    found = haar.detect(np.asarray(cv2.cvtColor(framed, cv2.COLOR_GRAY2RGB), dtype=np.uint8))
    return any(max(abs(c - middle) for c in one.box.centre) < SIDE / 4 and one.box.height > SIDE / 2 for one in found)
