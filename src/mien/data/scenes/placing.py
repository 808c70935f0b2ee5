"""Placing a head in an image: its size, roll and imitated turn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.covers import FACE
from mien.data.scenes.heads import HEAD, Head
from mien.data.scenes.surfaces import Grey

# The patch that a head covers reaches this far from its middle, in sides of the canvas: some of it is turned.
REACH = 0.72
# Sides of faces below which they are blurred before they are reduced; larger ones would lose detail.
BLUR_BELOW = 40


@dataclass(frozen=True)
class Pose:
    """How a head is held.

    Attributes:
        roll: Degrees, clockwise as seen in the image.
        width: Of the face against its height.
        turn: Imitated yaw: the share of the half width by which the far side is narrower; negative: to the other side.
        taper: The share by which the far side is lower.
        lean: Imitated pitch: how much wider the upper edge is.
    """

    roll: float = 0.0
    width: float = 1.0
    turn: float = 0.0
    taper: float = 0.0
    lean: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pose:
        """Draw a pose: most heads upright and facing, some tilted by up to 50 degrees, a third of them turned."""
        roll = rng.normal(0, 8) if rng.random() < 0.6 else rng.uniform(-50, 50)
        width, turn, taper, lean = rng.uniform(0.86, 1.06), 0.0, 0.0, 0.0
        if rng.random() < 0.35:
            turn, taper = rng.uniform(0.05, 0.4) * rng.choice((-1, 1)), rng.uniform(0, 0.2)
        if rng.random() < 0.2:
            lean = rng.uniform(-0.15, 0.2)
        return cls(float(roll), float(width), float(turn), float(taper), float(lean))

    def matrix(self, side: float) -> NDArray[np.float64]:
        """Return the homography (3, 3) from the head's canvas to pixels around the face's centre."""
        square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
        posed = square * np.array([self.width, 1], dtype=np.float32)
        if self.turn:
            is_far = square[:, 0] * self.turn > 0
            posed[is_far, 0] -= self.turn
            posed[is_far, 1] *= 1 - self.taper
        posed[:2, 0] *= 1 + self.lean
        warp = cv2.getPerspectiveTransform(square, posed)
        # the middle of pixel i is i: the canvas from -0.5 to HEAD - 0.5 becomes the square from -1 to 1
        to_square = np.array([[2 / HEAD, 0, 1 / HEAD - 1], [0, 2 / HEAD, 1 / HEAD - 1], [0, 0, 1]])
        angle, scale = np.deg2rad(self.roll), side * HEAD / FACE / 2
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        homography: NDArray[np.float64] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ warp @ to_square
        return homography


def place(image: Grey, head: Head, pose: Pose, face: tuple[float, float, float]) -> None:
    """Draw a head into an image (h, w) float32, in place.

    Args:
        image: Changed where the head is.
        head: The head.
        pose: How it is held.
        face: cx, cy and side of the face's frame, in pixels of the image.
    """
    cx, cy, side = face
    reach = int(np.ceil(side * HEAD / FACE * REACH))
    left, top = max(int(np.floor(cx)) - reach, 0), max(int(np.floor(cy)) - reach, 0)
    right, low = min(int(np.floor(cx)) + reach, image.shape[1]), min(int(np.floor(cy)) + reach, image.shape[0])
    if right - left < 3 or low - top < 3:
        return
    grey, alpha = head
    if side < BLUR_BELOW:
        sigma = 0.4 * FACE / side
        grey, alpha = (np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma)) for plane in (grey, alpha))
    to_patch = np.array([[1, 0, cx - left - 0.5], [0, 1, cy - top - 0.5], [0, 0, 1]]) @ pose.matrix(side)
    drawn = cv2.warpPerspective(np.dstack([grey, alpha]), to_patch, (right - left, low - top), flags=cv2.INTER_LINEAR)
    patch = image[top:low, left:right]
    patch += (drawn[..., 0] - patch) * np.minimum(drawn[..., 1], 1)
