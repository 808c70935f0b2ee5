"""No detector: each image is one face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box, Detection


class WholeImage:
    """Takes the image as the face; if it is not square, it is centred in a square of its long side."""

    name = "none"
    is_whole_image = True

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return one box: the square around the whole image."""
        height, width = image.shape[:2]
        side = max(height, width)
        return [Detection(Box((width - side) / 2, (height - side) / 2, side, side), score=1.0)]
