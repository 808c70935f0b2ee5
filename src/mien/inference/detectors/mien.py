"""mien's own face detector: a small network that sees an image at several scales. It also says how a head is turned."""

from __future__ import annotations

import hashlib
import math
import sys
import threading
from functools import partial
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec
from mien.core.detector_card import DetectorCard
from mien.core.errors import ModelError
from mien.core.face_maps import LARGEST_SCALE, find_faces, first_scale
from mien.core.text import first_line
from mien.core.types import Box, Detection
from mien.inference.onnx_session import giving_back_memory, read_file, start_session

SMALLEST_FACE = 24.0  # pixels of the image
BUDGET = 4_000_000  # pixels of the largest level; a level takes about 70 bytes of memory per pixel
INPUT_NAME, OUTPUT_NAME = "image", "maps"
# A box is as tight as YuNet's: its width is this share of the side of the face's square, its height the inverse.
WIDTH = 0.89
# Boxes with less than the card's threshold are not returned, but sharpen the position of those that are.
SUPPORT = 0.5
# onnxruntime keeps the memory that it has used; after a larger level, it is given back.
LARGE_LEVEL = 2_000_000
_is_noted = threading.Lock()  # taken for good by the first note about the budget


class Mien:
    """Finds faces in any head roll up to about 45 degrees, from a smallest size on.

    One instance may be used by several threads at the same time.
    """

    name = "mien"
    is_concurrent = True

    def __init__(
        self, weights: Path | None = None, *, smallest_face: float = SMALLEST_FACE, budget: int = BUDGET
    ) -> None:
        """Load the network.

        Args:
            weights: An .onnx file of a detector that mien trained; None: the one that ships with mien.
            smallest_face: The side of the smallest face to find, in pixels of the image; less than 10 counts as 10.
            budget: The most pixels that the network sees at once, at least 10,000. In an image that would need more,
                only larger faces are found; the first such image is named in a line on stderr.

        Raises:
            ModelError: The file is missing or of another network, or a setting is out of range.
        """
        if not (math.isfinite(smallest_face) and smallest_face > 0):
            raise ModelError(f"The smallest face is {smallest_face:g} pixels; expected a number above 0.")
        if budget < 10_000:
            raise ModelError(f"The detector's budget is {budget} pixels; expected at least 10,000.")
        self.weights = weights
        self.smallest_face = smallest_face
        self.budget = budget
        shipped = resources.files("mien") / "assets" / "detectors" / "mien.onnx"
        source = "the detector 'mien'" if weights is None else str(weights)
        data = read_file(weights or shipped, source)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._session = start_session(data, source)
        self._giving_back = giving_back_memory()
        self.card = DetectorCard.from_metadata(self._session.get_modelmeta().custom_metadata_map, source)
        self._check(source)

    def __reduce__(self) -> tuple[partial[Mien], tuple[Path | None]]:
        """Return what is pickled: the settings and the path of the model file, which is read again."""
        return partial(type(self), smallest_face=self.smallest_face, budget=self.budget), (self.weights,)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an upright RGB image (h, w, 3), best first, each with its roll."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        self._note_budget(grey.shape)
        threshold = self.card.threshold
        rows = find_faces(
            grey,
            self._run,
            self.card,
            smallest_face=self.smallest_face,
            budget=self.budget,
            least_score=SUPPORT * threshold,
        )
        return [to_detection(*row.tolist()) for row in rows if row[3] >= threshold]

    def _run(self, level: NDArray[np.uint8]) -> NDArray[np.float32]:
        options = self._giving_back if level.size > LARGE_LEVEL else None
        maps = self._session.run([OUTPUT_NAME], {INPUT_NAME: level[None, None]}, options)[0]
        return np.asarray(maps[0], dtype=np.float32)

    def _check(self, source: str) -> None:
        """Run the network once, so that another one is an error now."""
        try:
            shape = self._run(np.zeros((64, 72), dtype=np.uint8)).shape
        except Exception as error:  # onnxruntime's errors share no base class
            raise ModelError(
                f"{source} does not take (n, 1, h, w) uint8 named '{INPUT_NAME}' and return '{OUTPUT_NAME}' "
                f"({first_line(error)}); expected a detector that mien trained."
            ) from None
        if shape != (6, 8, 9):
            raise ModelError(f"{source} returns maps of shape {shape} for an image of 64 x 72; expected (6, 8, 9).")

    def _note_budget(self, shape: tuple[int, ...]) -> None:
        """Say once per process that an image is too large for its smallest faces."""
        wanted = min(self.card.smallest_side / self.smallest_face, LARGEST_SCALE)
        scale = first_scale(shape, self.card, self.smallest_face, self.budget)
        if scale < wanted and _is_noted.acquire(blocking=False):
            least, found = self.card.smallest_side / wanted, math.ceil(self.card.smallest_side / scale)
            print(
                f"note: in images of {shape[1]} x {shape[0]} pixels, faces are found from {found} pixels on, not from "
                f"{least:g}: the detector sees at most {self.budget / 1e6:g} million pixels; cut large images into "
                f"parts, or choose --detector mien@{found}.",
                file=sys.stderr,
            )


def to_detection(cx: float, cy: float, side: float, score: float, roll: float) -> Detection:
    """Return the detection from which `crop_face` with the default `CropSpec` and that roll cuts the face's square.

    Args:
        cx: Centre of the square, in pixels.
        cy: Centre of the square, in pixels.
        side: Side of the square, in pixels.
        score: In [0, 1].
        roll: In degrees.
    """
    crop = CropSpec()
    angle = math.radians(roll)
    x = cx - side * (crop.shift_x * math.cos(angle) - crop.shift_y * math.sin(angle))
    y = cy - side * (crop.shift_x * math.sin(angle) + crop.shift_y * math.cos(angle))
    width, height = side / crop.scale * WIDTH, side / crop.scale / WIDTH
    return Detection(Box(x - width / 2, y - height / 2, width, height), score, roll=roll)
