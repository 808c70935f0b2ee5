"""What a tracked face looks like: enough to follow it, and to re-identify it a few seconds later.

This distinguishes the faces of one scene. It is not face recognition and cannot tell who somebody is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec
from mien.core.image import crop_face, resize_face
from mien.core.types import Box

# The side of a window in pixels, and in the frame as a multiple of sqrt(width * height) of the face box.
WINDOW = 64
REACH = 1.6
# Larger windows are subsampled by 2, 3, ... to a side of 96 to 192 pixels, for speed.
MIN_SAMPLED = 96
SQUARE = CropSpec(scale=REACH, shift_x=0.0, shift_y=0.0)
# Window pixels of the head, described by its edges, and of the face, described by its colours.
HEAD = slice(6, -6)
FACE = slice(14, -14)
# 2 x 2 blocks of 2 x 2 cells with 8 signed directions.
EDGES = cv2.HOGDescriptor(
    (48, 48), (24, 24), (24, 24), (12, 12), 8, 1, -1.0, cv2.HOGDescriptor_L2Hys, 0.2, True, 1, True
)
BINS = 6  # per colour channel


@dataclass(frozen=True)
class Window:
    """The square around a face: `grey` (64, 64), its place in the frame, and its appearance `embedding` (344,).

    Embeddings have a length of at most 1. The product of two is their similarity, -0.5 to 1: the mean of the
    correlation of edge directions (HOG: Dalal and Triggs, 2005) and the Bhattacharyya coefficient (1943) of colours.
    """

    grey: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    left: float
    top: float
    side: float

    def similarity(self, other: Window) -> float:
        """Return how similar the faces in two windows look: -0.5 to 1."""
        return float(self.embedding @ other.embedding)


def cut_window(pixels: NDArray[np.uint8], box: Box) -> Window:
    """Cut the window around a face box from an RGB frame (h, w, 3). Beyond the frame, its border is repeated."""
    side = REACH * math.sqrt(box.width * box.height)
    step = max(int(side / MIN_SAMPLED), 1)
    middle = (step - 1) / 2  # of the pixels that one sample stands for
    sampled = Box(box.x - middle, box.y - middle, box.width, box.height).scaled(1 / step)
    colours = resize_face(crop_face(pixels[::step, ::step], sampled, SQUARE), WINDOW, 3)
    grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return Window(grey, _embed(colours, grey), box.centre[0] - side / 2, box.centre[1] - side / 2, side)


def _embed(colours: NDArray[np.uint8], grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    head = cv2.resize(grey[HEAD, HEAD], EDGES.winSize, interpolation=cv2.INTER_AREA)
    edges = np.asarray(EDGES.compute(head), dtype=np.float32)
    edges = edges - edges.mean()
    edges = edges / max(float(np.linalg.norm(edges)), 1e-6)
    face = np.ascontiguousarray(colours[FACE, FACE])
    counts = cv2.calcHist([face], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3).ravel()
    return np.asarray(np.concatenate([edges, np.sqrt(counts / counts.sum())]) / math.sqrt(2), dtype=np.float32)
