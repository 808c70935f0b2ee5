"""Face detectors behind one small protocol: YuNet, OpenCV's Haar cascade, and the whole picture.

All of them give YuNet's box: tight, from the forehead to the chin and from cheek to cheek. A detector of
your own is any class with `name` and `detect`; announce a function that makes one under the entry point
group `mien.detectors`.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, Protocol

import cv2
import cv2.data
import numpy as np
from cv2.utils import logging
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.core.plugins import Table, make_table
from mien.core.types import Box, Detection
from mien.inference.cache import find_yunet

BUILT_IN = ("auto", "haar", "yunet", "none")
PLUG_INS = "mien.detectors"
LONG_SIDE = 640
# YuNet in OpenCV 4 finds faces of infinite size in narrower pictures, even in black ones.
SHORTEST_SIDE = 64


class Detector(Protocol):
    """Finds the faces of a picture. Instances are safe to share between threads."""

    @property
    def name(self) -> str:
        """The word that names the detector on the command line."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB picture (h, w, 3), boxes in its pixels."""
        ...


class YuNet:
    """YuNet (Wu, Peng and Yu, 2023) through OpenCV; the model file is published in the OpenCV zoo.

    Pictures are reduced to a long side of 640 pixels. It finds more faces than Haar at any setting tried, and is
    faster than all of them (`results/detectors.json`).
    """

    name = "yunet"

    def __init__(self, path: Path, score_threshold: float = 0.7) -> None:
        """Load YuNet's .onnx file; `ModelError` when it is missing or is something else."""
        self._lock = threading.Lock()
        level = logging.setLogLevel(
            logging.LOG_LEVEL_SILENT
        )  # what OpenCV logs about a wrong file, the error below says
        try:
            self._network: Any = cv2.FaceDetectorYN.create(
                str(path), "", (LONG_SIDE, LONG_SIDE), score_threshold, 0.3, 1000
            )
            self.detect(np.zeros((32, 32, 3), dtype=np.uint8))  # another network shows only when it runs
        except cv2.error:
            raise ModelError(f"{path} is not a YuNet model file; `mien fetch yunet` downloads one.") from None
        finally:
            logging.setLogLevel(level)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB picture (h, w, 3), with five landmarks each."""
        small, factor = _reduced(image)
        below, right = (max(SHORTEST_SIDE - side, 0) for side in small.shape[:2])
        small = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT)
        with self._lock:  # the input size is part of the network's state
            self._network.setInputSize((small.shape[1], small.shape[0]))
            _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return [_yunet_detection(row, factor) for row in (rows if rows is not None else [])]


class Haar:
    """The Haar cascade that OpenCV carries (Viola and Jones, 2001): no download, frontal faces only."""

    name = "haar"

    # Chosen by benchmarks/detectors.py: as many of the pasted faces as the cascade "default" finds
    # (74 % against 72 %), with a tenth of its false boxes.
    cascade = "haarcascade_frontalface_alt.xml"
    scale_factor = 1.1
    min_neighbours = 5
    smallest = 32  # pixels, at a long side of 640

    # Haar's square -> YuNet's box, as parts of the square's side; medians of benchmarks/crop.py.
    width = 0.86
    height = 1.09
    shift_x = 0.0
    shift_y = 0.015

    def __init__(self) -> None:
        """Load the cascade that lies inside OpenCV."""
        self._classifier: Any = cv2.CascadeClassifier(cv2.data.haarcascades + self.cascade)
        self._lock = threading.Lock()

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB picture (h, w, 3), without landmarks."""
        small, factor = _reduced(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        with self._lock:  # the classifier keeps its image pyramid
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


class WholeImage:
    """No detector: the picture is the face; if not square, it is centred in a square of its long side."""

    name = "none"

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return one box, the square around the whole picture, to be cropped as it is."""
        height, width = image.shape[:2]
        side = max(height, width)
        return [Detection(Box((width - side) / 2, (height - side) / 2, side, side), score=1.0)]


def create_detector(name: str = "auto", *, yunet_path: Path | None = None) -> Detector:
    """Make a detector by name.

    Args:
        name: `yunet`, `haar`, `none` (the whole picture is the face), the name of a plug-in, or `auto`:
            YuNet when its model file is found, else Haar, with one line about it on stderr.
        yunet_path: YuNet's model file, before $MIEN_YUNET and the fetched one.

    Raises:
        ModelError: The name is unknown, or YuNet's model file is missing or damaged.
    """
    if name == "none":
        return WholeImage()
    if name == "haar":
        return Haar()
    if name in ("auto", "yunet"):
        path = find_yunet(yunet_path)
        if path is not None:
            return YuNet(path)
        if name == "yunet":
            raise ModelError("YuNet's model file is not here; `mien fetch yunet` downloads it (230 kB).")
        _recommend_yunet()
        return Haar()
    return _plug_in(name)


def remove_duplicates(detections: list[Detection], overlap: float = 0.7) -> list[Detection]:
    """Keep the best-scored of boxes that share more than `overlap` of the smaller one's area."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        if all(_shared(detection.box, other.box) <= overlap for other in kept):
            kept.append(detection)
    return kept


def _reduced(image: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Return the picture with a long side of at most 640 pixels, and the factor it was reduced by."""
    height, width = image.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    if factor == 1:
        return image, factor
    shape = (max(round(width * factor), 1), max(round(height * factor), 1))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA), factor


def _yunet_detection(row: NDArray[np.float32], factor: float) -> Detection:
    """Read one row of YuNet: x, y, width, height, five landmarks (x, y), score."""
    values = [float(v) for v in row]
    points = tuple((values[i] / factor, values[i + 1] / factor) for i in range(4, 14, 2))
    return Detection(Box(*values[:4]).scaled(1 / factor), min(max(values[14], 0.0), 1.0), points)


def _shared(a: Box, b: Box) -> float:
    """Return the area that two boxes share, as a part of the smaller one."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    smaller = min(a.width * a.height, b.width * b.height)
    return max(width, 0.0) * max(height, 0.0) / smaller if smaller > 0 else 0.0


def table() -> Table[Any]:
    """Return the built-in detectors' names and the makers of all others."""
    return make_table("detector", PLUG_INS, dict.fromkeys(BUILT_IN), check=lambda _, part: part, parts_of=lambda *_: {})


def _plug_in(name: str) -> Detector:
    detector: Detector = table().load(name, ModelError)()
    return detector


class _Once:
    """A line for stderr that is said once a process, in whatever thread."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._said = False

    def __call__(self) -> None:
        with self._lock:
            if not self._said:
                print(self._line, file=sys.stderr)
            self._said = True


_recommend_yunet = _Once(
    "note: using OpenCV's Haar face detector; `mien fetch yunet` gets one that finds more faces, faster."
)
