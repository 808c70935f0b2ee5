"""What a followed face looks like: enough to move its box along and to know it again a few seconds later.

This tells the faces of one scene apart; it is no face recognition and cannot say who somebody is.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec
from mien.core.image import crop_face, resize_face
from mien.core.types import Box

# A window is this many pixels wide, and its side is this many times sqrt(width * height) of the face box.
WINDOW = 64
REACH = 1.6
# Of a larger window every second, third ... pixel is used, so that its side has 96 to 192 of them: plenty, and quick.
ENOUGH = 96
SQUARE = CropSpec(scale=REACH, shift_x=0.0, shift_y=0.0)
# The head, whose edges are described, and the face, whose colours are counted, as window pixels.
HEAD = slice(6, -6)
FACE = slice(14, -14)
# 2 x 2 blocks of 2 x 2 cells, 8 directions: from dark to light and from light to dark are two.
EDGES = cv2.HOGDescriptor(
    (48, 48), (24, 24), (24, 24), (12, 12), 8, 1, -1.0, cv2.HOGDescriptor_L2Hys, 0.2, True, 1, True
)
SHADES = 6


@dataclass(frozen=True)
class Window:
    """The square around a face: `grey` (64, 64), where it lies in its frame, and what describes its `looks` (344,).

    Looks are of length 1 at most, so that the product of two is their similarity, -0.5 to 1: half of it the
    correlation of the edges' directions (HOG: Dalal and Triggs, 2005), half the coefficient of Bhattacharyya (1943)
    of the colours.
    """

    grey: NDArray[np.uint8]
    looks: NDArray[np.float32]
    left: float
    top: float
    side: float

    def similarity(self, other: Window) -> float:
        """Return how alike the faces in two windows look: -0.5 to 1."""
        return float(self.looks @ other.looks)


def cut_window(pixels: NDArray[np.uint8], box: Box) -> Window:
    """Cut the window around a face box from an RGB frame (h, w, 3); beyond the frame, its border is repeated."""
    side = REACH * math.sqrt(box.width * box.height)
    coarse = max(int(side / ENOUGH), 1)
    middle = (coarse - 1) / 2  # of the pixels that one stands for
    sampled = Box(box.x - middle, box.y - middle, box.width, box.height).scaled(1 / coarse)
    colours = resize_face(crop_face(pixels[::coarse, ::coarse], sampled, SQUARE), WINDOW, 3)
    grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return Window(grey, _describe(colours, grey), box.centre[0] - side / 2, box.centre[1] - side / 2, side)


class AppearanceMemory:
    """The last looks of one face that differ from each other; never more than `capacity`."""

    def __init__(self, capacity: int = 6, alike: float = 0.95) -> None:
        """Start with no look; a look that is more than `alike` similar to a known one is not kept."""
        self._windows: deque[Window] = deque(maxlen=capacity)
        self._alike = alike

    def add(self, window: Window) -> None:
        """Remember how the face looks here, unless that is known."""
        if self.similarity(window) < self._alike:
            self._windows.append(window)

    def similarity(self, window: Window) -> float:
        """Return the similarity to the most alike look: -0.5 to 1, and -1 when there is none."""
        return max((known.similarity(window) for known in self._windows), default=-1.0)


def _describe(colours: NDArray[np.uint8], grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    head = cv2.resize(grey[HEAD, HEAD], EDGES.winSize, interpolation=cv2.INTER_AREA)
    edges = np.asarray(EDGES.compute(head), dtype=np.float32)
    edges = edges - edges.mean()
    edges = edges / max(float(np.linalg.norm(edges)), 1e-6)
    face = np.ascontiguousarray(colours[FACE, FACE])
    counts = cv2.calcHist([face], [0, 1, 2], None, [SHADES] * 3, [0, 256] * 3).ravel()
    return np.asarray(np.concatenate([edges, np.sqrt(counts / counts.sum())]) / math.sqrt(2), dtype=np.float32)
