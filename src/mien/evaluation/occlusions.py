"""Things in front of a face: a mask, sunglasses, and a hand over the eyes or the mouth.

They are drawn where the parts of a face are in FER2013's crops: eyes at 0.36 of the height, mouth at 0.78 (means of the
Training faces). Coordinates are shares of the sides, (x, y) from the upper left corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
Random: TypeAlias = np.random.Generator
Cover: TypeAlias = NDArray[np.float32]
Point: TypeAlias = tuple[float, float]

EYES: tuple[Point, Point] = ((0.32, 0.36), (0.68, 0.36))
MOUTH: Point = (0.5, 0.78)
# Shapes are drawn on a canvas of this side and resized to the image's size, for smooth edges.
CANVAS = 256
SHIFT = 4  # OpenCV's sub-pixel bits

MASK_COLOURS = ((205, 222, 232), (235, 235, 235), (40, 44, 52))
GLASS_COLOUR = (18, 18, 20)
FINGERS = 4
FINGER = 0.1  # thickness, share of the side


def put_mask(image: Image, top: float, random: Random) -> Image:
    """Cover nose, mouth and chin below `top` (share of the height) with cloth: light blue, white or black."""
    colour = np.array(MASK_COLOURS[random.integers(len(MASK_COLOURS))])
    slack = 0.05
    outline = [(0.5, top - slack), (0.68, top), (0.92, top + slack), (0.9, 0.86), (0.74, 1.02), (0.26, 1.02)]
    outline += [(0.1, 0.86), (0.08, top + slack), (0.32, top)]
    image = _blend(image, _polygon(outline), colour)
    for share in (0.35, 0.6, 0.85):  # the folds
        y = top + share * (1 - top)
        fold = _lines([((0.14, y - 0.02), (0.5, y + 0.01)), ((0.5, y + 0.01), (0.86, y - 0.02))], 0.012)
        image = _blend(image, 0.5 * fold, 0.75 * colour)
    return image


def put_sunglasses(image: Image, half_width: float, _random: Random) -> Image:
    """Cover the eyes with two dark lenses that reach `half_width` of the side to both sides of the pupil."""
    lenses = np.maximum.reduce([_ellipse(eye, (half_width, 0.72 * half_width), 0) for eye in EYES])
    (left, y), (right, _) = EYES
    y -= 0.25 * half_width
    frame = _lines([((left, y), (right, y)), ((left, y), (0.02, y - 0.03)), ((right, y), (0.98, y - 0.03))], 0.03)
    return _blend(image, np.maximum(lenses, frame), np.array(GLASS_COLOUR))


def put_hand(height: float, image: Image, reach: float, random: Random) -> Image:
    """Cover the face at `height` with a hand from the left or the right; its fingertips reach `reach` of the width.

    The four fingers and the back of the hand have the skin's colour in the image.
    """
    from_right = random.random() < 0.5
    angle = random.uniform(-0.3, 0.3)
    along = np.array([(1.0 if from_right else -1.0) * np.cos(angle), np.sin(angle)])  # from the tips to the wrist
    across = np.array([-along[1], along[0]])
    tips = np.array([1 - reach if from_right else reach, height + random.uniform(-0.03, 0.03)])
    fingers, gaps = [], []
    for i in range(FINGERS):
        offset = (i - (FINGERS - 1) / 2) * 0.95 * FINGER * across
        tip = tips + offset + along * 0.05 * abs(i - 1.3)
        root = tips + offset + along * 0.5
        fingers.append((_point(tip), _point(root)))
        if i:
            aside = 0.475 * FINGER * across
            gaps.append((_point(tip + along * 0.4 * FINGER - aside), _point(root - along * 0.1 - aside)))
    back = _ellipse(_point(tips + along * 0.62), (0.27, 2.05 * FINGER), np.degrees(np.arctan2(along[1], along[0])))
    arm = _lines([(_point(tips + along * 0.7), _point(tips + along * 1.5))], 2.6 * FINGER)
    skin = _skin_colour(image)
    image = _blend(image, np.maximum.reduce([_lines(fingers, FINGER), back, arm]), skin)
    return _blend(image, 0.7 * _lines(gaps, 0.12 * FINGER), 0.55 * skin)


def _skin_colour(image: Image) -> NDArray[np.float64]:
    """Return the median colour between eyes and mouth, (1,) or (3,): the cheeks and the nose."""
    height, width = image.shape[:2]
    region = image[int(0.45 * height) : max(int(0.65 * height), int(0.45 * height) + 1)]
    region = region[:, int(0.3 * width) : max(int(0.7 * width), int(0.3 * width) + 1)]
    return np.asarray(np.median(region.reshape(-1, *image.shape[2:]), axis=0), dtype=np.float64).reshape(-1)


def _blend(image: Image, cover: Cover, colour: NDArray[np.floating] | NDArray[np.integer]) -> Image:
    """Paint `colour`, RGB or grey, over the image with the opacity `cover`, (CANVAS, CANVAS) in [0, 1]."""
    height, width = image.shape[:2]
    method = cv2.INTER_AREA if max(height, width) <= CANVAS else cv2.INTER_LINEAR
    weight = cv2.resize(cover, (width, height), interpolation=method)
    if image.ndim == 3:
        weight, paint = weight[:, :, None], np.broadcast_to(colour, 3)
    else:
        paint = np.broadcast_to(colour @ (0.299, 0.587, 0.114) if len(colour) == 3 else colour, 1)
    mixed = np.rint(image * (1 - weight) + weight * paint)
    return np.asarray(np.clip(mixed, 0, 255), dtype=np.uint8)


def _polygon(points: Sequence[Point]) -> Cover:
    canvas = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
    cv2.fillPoly(canvas, [np.array([_pixel(p) for p in points])], 255, cv2.LINE_AA, SHIFT)
    return _as_cover(canvas)


def _lines(lines: Sequence[tuple[Point, Point]], thickness: float) -> Cover:
    """Draw lines with round ends; `thickness` is a share of the side."""
    canvas = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
    for start, end in lines:
        cv2.line(canvas, _pixel(start), _pixel(end), 255, max(1, round(thickness * CANVAS)), cv2.LINE_AA, SHIFT)
    return _as_cover(canvas)


def _ellipse(centre: Point, radii: Point, degrees: float) -> Cover:
    canvas = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
    cv2.ellipse(canvas, _pixel(centre), _pixel(radii), float(degrees), 0, 360, 255, -1, cv2.LINE_AA, SHIFT)
    return _as_cover(canvas)


def _pixel(point: Point) -> tuple[int, int]:
    scale = CANVAS << SHIFT
    return round(point[0] * scale), round(point[1] * scale)


def _point(vector: NDArray[np.float64]) -> Point:
    return float(vector[0]), float(vector[1])


def _as_cover(canvas: Image) -> Cover:
    return canvas.astype(np.float32) / np.float32(255)
