"""Drawn cartoon faces: data for tests and a first try without any download.

Every face has a random identity (head, skin, hair, distances, pose, light, noise) and one of seven expressions, shown
by mouth, brows, eyes and nose. Strength and details vary, so that similar expressions are hard to tell apart. Scores on
these drawings say nothing about real faces.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.expressions import FER2013_LABELS, Expression
from mien.core.image import resize_face
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions

EXPECTS = "nothing: the faces are drawn"
NEEDS_PATH = False
# Drawn at four times 48 pixels and downsized by area, which smooths the edges.
CANVAS = 192
# Fractional bits of OpenCV's drawing coordinates.
SHIFT = 4
CENTRE = CANVAS / 2


@dataclass(frozen=True)
class Look:
    """How an expression changes a face; lengths in canvas pixels, relative to a neutral face.

    Attributes:
        corners: How far the corners of the mouth rise (negative: drop).
        opening: Height of the open mouth.
        width: The mouth's width as a factor.
        brow_tilt: How far the brows' inner ends rise above the outer ones (negative: a frown).
        brow_lift: How far the whole brows rise.
        eyes: How open the eyes are, as a factor.
        wrinkle: Darkness of the wrinkles beside the nose, 0 to 1.
        skew: How far one corner of the mouth rises above the other.
    """

    corners: float = 0.0
    opening: float = 0.0
    width: float = 1.0
    brow_tilt: float = 0.0
    brow_lift: float = 0.0
    eyes: float = 1.0
    wrinkle: float = 0.0
    skew: float = 0.0


LOOKS = {
    Expression.ANGRY: Look(corners=-5, width=0.85, brow_tilt=-15, brow_lift=-7, eyes=0.8, wrinkle=0.3),
    Expression.DISGUST: Look(
        corners=-7, opening=5, width=0.8, brow_tilt=-6, brow_lift=-5, eyes=0.5, wrinkle=1.0, skew=7
    ),
    Expression.FEAR: Look(corners=-7, opening=13, width=1.1, brow_tilt=13, brow_lift=8, eyes=1.4),
    Expression.HAPPY: Look(corners=13, opening=9, width=1.25, brow_lift=2, eyes=0.8),
    Expression.SAD: Look(corners=-11, width=0.85, brow_tilt=14, brow_lift=-1, eyes=0.7),
    Expression.SURPRISE: Look(opening=30, width=0.65, brow_lift=13, eyes=1.45),
    Expression.NEUTRAL: Look(),
}


# Standard deviations of the noise on each part of a look.
SPREADS = Look(1.5, 1.0, 0.06, 2.0, 2.0, 0.08, 0.08, 1.5)


class Identity:
    """One drawn person: lengths in canvas pixels, brightness 0 to 255."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.skin = rng.uniform(110, 225)
        self.hair = rng.uniform(15, 0.75 * self.skin)
        self.background = rng.uniform(20, 235)
        self.head_width = rng.uniform(56, 70)
        self.head_height = rng.uniform(72, 86)
        self.hairline = rng.uniform(28, 46)
        self.eye_distance = rng.uniform(24, 31)
        self.eye_size = rng.uniform(10, 13)
        self.mouth_width = rng.uniform(23, 29)
        self.mouth_height = rng.uniform(36, 44)
        self.brow_weight = int(rng.integers(5, 9))
        self.nose = rng.uniform(14, 22)


def matches(path: Path) -> bool:
    """Return False: the data set is drawn, not read."""
    return False


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Draw `options.faces_per_class` faces per label to train on, and a third as many to validate.

    Equal options draw equal pixels; `path` is not used.
    """
    per_split = {"train": options.faces_per_class, "validation": max(options.faces_per_class // 3, 1)}
    rows = [(split, label) for split, n in per_split.items() for label in range(len(FER2013_LABELS)) for _ in range(n)]
    rng = np.random.default_rng(options.seed)
    faces = (draw_face(Expression(FER2013_LABELS.names[label]), rng) for _, label in rows)
    return FaceDataset(
        name="synthetic",
        images=np.stack([resize_face(face, options.image_size, options.channels) for face in faces]),
        labels=np.array([label for _, label in rows], dtype=np.int64),
        splits=np.array([split for split, _ in rows]),
        label_set=FER2013_LABELS,
    )


def draw_face(expression: Expression, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one face of a random person: (192, 192) grey uint8.

    Args:
        expression: One of FER2013's seven.
        rng: Source of all variation.
    """
    person = Identity(rng)
    look = _vary(LOOKS[expression], rng)
    canvas = np.full((CANVAS, CANVAS), person.background, dtype=np.uint8)
    cv2.rectangle(canvas, (0, int(rng.uniform(60, 200))), (CANVAS, CANVAS), rng.uniform(20, 235), -1)
    _draw_head(canvas, person)
    _draw_eyes(canvas, person, look)
    _draw_brows(canvas, person, look)
    _draw_nose(canvas, person, look)
    _draw_mouth(canvas, person, look)
    return _photograph(canvas, rng)


def _vary(look: Look, rng: np.random.Generator) -> Look:
    """Return the look at a random strength, with noise on every part."""
    strength = rng.uniform(0.75, 1.25)
    parts = zip(*map(astuple, (Look(), look, SPREADS)), strict=True)
    varied = Look(*(rest + strength * (full - rest) + rng.normal(0, spread) for rest, full, spread in parts))
    return replace(
        varied,
        opening=max(varied.opening, 0.0),
        eyes=max(varied.eyes, 0.2),
        wrinkle=min(max(varied.wrinkle, 0.0), 1.0),
        skew=varied.skew * float(rng.choice([-1, 1])),
    )


def _draw_head(canvas: NDArray[np.uint8], person: Identity) -> None:
    width, height = person.head_width, person.head_height
    _ellipse(canvas, (CENTRE, CENTRE - 6), (width + 6, height + 4), person.hair)
    cv2.rectangle(canvas, (int(CENTRE - 24), 150), (int(CENTRE + 24), CANVAS), 0.85 * person.skin, -1)
    for side in (-1, 1):
        _ellipse(canvas, (CENTRE + side * width, CENTRE), (8, 14), 0.9 * person.skin)
    _ellipse(canvas, (CENTRE, CENTRE + 6), (width, height), person.skin)
    top = CENTRE + 6 - height
    fringe = np.zeros_like(canvas)
    _ellipse(fringe, (CENTRE, CENTRE + 6), (width, height), 255)
    fringe[int(top + person.hairline) :] = 0
    canvas[fringe > 0] = int(person.hair)


def _draw_eyes(canvas: NDArray[np.uint8], person: Identity, look: Look) -> None:
    for side in (-1, 1):
        centre = (CENTRE + side * person.eye_distance, CENTRE - 8)
        height = 0.62 * person.eye_size * look.eyes
        _ellipse(canvas, centre, (person.eye_size + 2, height + 2), 0.45 * person.skin)
        _ellipse(canvas, centre, (person.eye_size, height), min(person.skin + 70, 250))
        iris = 0.52 * person.eye_size
        _ellipse(canvas, centre, (iris, min(iris, height)), 25)


def _draw_brows(canvas: NDArray[np.uint8], person: Identity, look: Look) -> None:
    y = CENTRE - 28 - look.brow_lift
    for side in (-1, 1):
        middle = CENTRE + side * person.eye_distance
        inner = (middle - side * 13, y - look.brow_tilt / 2)
        outer = (middle + side * 13, y + look.brow_tilt / 2)
        peak = (middle + side * 3, y - 4)
        _curve(canvas, (inner, peak, outer), min(person.hair, 0.5 * person.skin), person.brow_weight)


def _draw_nose(canvas: NDArray[np.uint8], person: Identity, look: Look) -> None:
    shade = 0.62 * person.skin
    tip = CENTRE - 4 + person.nose
    _curve(canvas, ((CENTRE - 8, tip), (CENTRE, tip + 9), (CENTRE + 8, tip)), shade, 3)
    crease = (1 - 0.55 * look.wrinkle) * person.skin
    if look.wrinkle > 0.15:
        for side in (-1, 1):
            x = CENTRE + side * 7
            for step in (-14, -7):
                ends = ((x, tip + step), (x + side * 4, tip + step - 3), (x + side * 8, tip + step - 7))
                _curve(canvas, ends, crease, 3)
            fold = ((CENTRE + side * 13, tip), (CENTRE + side * 24, tip + 8), (CENTRE + side * 27, tip + 20))
            _curve(canvas, fold, crease, 3)


def _draw_mouth(canvas: NDArray[np.uint8], person: Identity, look: Look) -> None:
    half = person.mouth_width * look.width
    y = CENTRE + person.mouth_height
    left = (CENTRE - half, y - look.corners + look.skew / 2)
    right = (CENTRE + half, y - look.corners - look.skew / 2)
    # A quadratic curve reaches half way to its control point.
    upper = _bezier((left, (CENTRE, y + look.corners - look.opening), right))
    lower = _bezier((right, (CENTRE, y + look.corners + look.opening), left))
    outline = np.concatenate([upper, lower])
    if look.opening > 2:
        cv2.fillPoly(canvas, [outline], 35.0, cv2.LINE_AA, SHIFT)
    cv2.polylines(canvas, [outline], True, 0.4 * person.skin, 4, cv2.LINE_AA, SHIFT)


def _photograph(canvas: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Rotate, shift and scale the drawing, light it from one side and add noise: (192, 192) uint8."""
    matrix = cv2.getRotationMatrix2D((CENTRE, CENTRE), rng.normal(0, 4), rng.uniform(0.95, 1.15))
    matrix[:, 2] += rng.normal(0, 3, size=2)
    matrix[0, 1] += rng.normal(0, 0.04)
    turned = cv2.warpAffine(canvas, matrix, (CANVAS, CANVAS), borderMode=cv2.BORDER_REPLICATE)
    slope = np.linspace(-1, 1, CANVAS)
    light = 1 + rng.normal(0, 0.12) * slope[None, :] + rng.normal(0, 0.08) * slope[:, None]
    # Noise of 48 x 48 grains survives downsizing.
    grain = cv2.resize(rng.normal(0, 6, (48, 48)), (CANVAS, CANVAS), interpolation=cv2.INTER_NEAREST)
    exposed = np.asarray(turned, dtype=np.float64) * light * rng.uniform(0.8, 1.15) + grain
    return np.asarray(np.clip(exposed, 0, 255), dtype=np.uint8)


def _ellipse(canvas: NDArray[np.uint8], centre: tuple[float, float], axes: tuple[float, float], shade: float) -> None:
    """Fill an ellipse; centre (x, y) and half axes in canvas pixels."""
    x, y, a, b = (round(v * 2**SHIFT) for v in (*centre, *axes))
    cv2.ellipse(canvas, (x, y), (a, b), 0, 0, 360, shade, -1, cv2.LINE_AA, SHIFT)


def _bezier(points: tuple[tuple[float, float], ...]) -> NDArray[np.int32]:
    """Return 16 points, (16, 2) in OpenCV's fixed-point units, of the quadratic curve over three points."""
    t = np.linspace(0, 1, 16)[:, None]
    start, control, end = np.array(points, dtype=np.float64)
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return np.asarray(np.round(curve * 2**SHIFT), dtype=np.int32)


def _curve(canvas: NDArray[np.uint8], points: tuple[tuple[float, float], ...], shade: float, weight: int) -> None:
    cv2.polylines(canvas, [_bezier(points)], False, shade, weight, cv2.LINE_AA, SHIFT)
