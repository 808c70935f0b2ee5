"""Composed scenes to score a face detector on, one condition changed at a time.

A scene is a photograph with heads drawn into it: faces of a data set with hair, neck and clothes. Levels of a condition
have the same random numbers, so they differ in little else than the condition.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.data.scenes.heads import HeadPainter
from mien.data.scenes.photographs import Photograph
from mien.data.scenes.placing import Pose, place
from mien.data.scenes.surfaces import Grey, Surfaces

Rows = NDArray[np.float64]
Square = tuple[float, float, float]

# The photographs are scaled to fill this width and height, and cut.
WIDTH, HEIGHT = 960, 720
MOST_HEADS, TRIES = 4, 30
# A head with hair and shoulders reaches this far from its face's centre, in sides of the face.
REACH = 1.75
SIDES = (24, 32, 48, 64, 96, 128, 192, 300)
DIMMEST = 4  # as a power of 1/2


@dataclass(frozen=True)
class Level:
    """How the heads of a scene are drawn and photographed.

    Attributes:
        label: Its name within the condition.
        sides: The range of the sides of faces in pixels, uniform in their logarithm.
        roll: The range of the roll in degrees, to either side.
        turn: Imitated yaw: by which share of its half width the far side of the face is narrower.
        is_any: Any face of the data set is drawn, not only frontal ones.
        cover: What covers a part of the face: a name of `mien.data.scenes.covers.COVERS`; "": nothing.
        shade: How much darker than usual one side of the head is, and the other brighter; 0 to 1.
        light: Factor of all grey values.
        contrast: Factor of all differences from the scene's mean.
        noise: Standard deviation of Gaussian noise, in grey levels.
        heads: "faces"; "no faces": heads from behind, and heads with something else in a face's place; "none".
    """

    label: str
    sides: tuple[float, float] = (48, 160)
    roll: tuple[float, float] = (0, 10)
    turn: float = 0.0
    is_any: bool = False
    cover: str = ""
    shade: float = 0.0
    light: float = 1.0
    contrast: float = 1.0
    noise: float = 0.0
    heads: Literal["faces", "no faces", "none"] = "faces"


# Together, the faces of all sizes are the frontal ones: rolled by up to 30 degrees, neither turned nor covered.
SIZE = "size"
CONDITIONS: dict[str, tuple[Level, ...]] = {
    SIZE: tuple(Level(f"{low} to {high}", (low, high), (0, 30)) for low, high in itertools.pairwise(SIDES)),
    "roll": tuple(Level(str(angle), roll=(angle, angle)) for angle in range(0, 91, 15)),
    "yaw": tuple(Level(f"{turn:g}", turn=turn) for turn in (0, 0.1, 0.2, 0.3, 0.4, 0.5)),
    "faces": (Level("frontal"), Level("any", is_any=True)),
    "shade": tuple(Level(f"{shade:g}", shade=shade) for shade in (0, 0.2, 0.4, 0.6, 0.8)),
    "light": tuple(Level(f"1/{2**power}", light=0.5**power) for power in range(DIMMEST + 1)),
    "contrast": tuple(Level(f"{factor:g}", contrast=factor) for factor in (1, 0.5, 0.3, 0.2, 0.1)),
    "noise": tuple(Level(f"{noise}", noise=noise) for noise in (0, 5, 10, 20, 30, 40)),
    "cover": (
        Level("nothing"),
        *(Level(name, cover=name) for name in ("hat", "sunglasses", "mask", "beard", "something in front")),
    ),
    "without_face": (Level("photographs", heads="none"), Level("heads without a face", heads="no faces")),
}


@dataclass(frozen=True)
class ConditionScene:
    """A scene.

    Attributes:
        image: RGB (720, 960, 3), its channels equal.
        faces: (n, 4) rows x, y, width, height: the drawn faces, then those known in the photograph.
        is_ignored: (n,) True for those known in the photograph: they were not drawn under the condition.
    """

    image: NDArray[np.uint8]
    faces: Rows
    is_ignored: NDArray[np.bool_]


class ConditionComposer:
    """Composes the scenes of a level.

    Args:
        faces: (n, 48, 48) uint8, none of them used to train the detector.
        is_frontal: (n,) whether each is a frontal, uncovered face, as `find_frontal` says.
        photographs: Backgrounds, none of them used either, and what hair and clothes are made of.
        seed: Equal seeds give equal scenes.

    Raises:
        DataError: No face is frontal.
    """

    def __init__(
        self,
        faces: NDArray[np.uint8],
        is_frontal: NDArray[np.bool_],
        photographs: Sequence[Photograph],
        seed: int = 0,
    ) -> None:
        if not is_frontal.any():
            raise DataError(f"None of {len(faces)} faces is frontal; expected a data set of faces that look ahead.")
        self.faces, self.frontal, self.photographs, self.seed = faces, faces[is_frontal], photographs, seed
        self._surfaces = Surfaces(photographs, np.random.default_rng(seed))
        self._painter = HeadPainter(faces, self._surfaces)

    def scenes(self, level: Level, count: int) -> Iterator[ConditionScene]:
        """Yield scenes until `count` faces are drawn; of levels without faces, one scene for every four."""
        number = drawn = 0
        while drawn < count:
            scene = self._compose(level, number, count - drawn)
            number += 1
            drawn += int((~scene.is_ignored).sum()) if level.heads == "faces" else MOST_HEADS
            yield scene

    def _compose(self, level: Level, number: int, most: int) -> ConditionScene:
        canvas, known = _background(self.photographs[number % len(self.photographs)])
        drawn: list[Square] = []
        for head in range(0 if level.heads == "none" else min(MOST_HEADS, most)):
            rng = np.random.default_rng([self.seed, number, head])
            square = _free_square(level, drawn, rng)
            if square is not None:
                self._draw_head(canvas, level, square, rng)
                drawn.append(square)
        shown = drawn if level.heads == "faces" else []
        rows = [(cx - side / 2, cy - side / 2, side, side) for cx, cy, side in (*shown, *known)]
        is_ignored = np.arange(len(rows)) >= len(shown)
        grey = _photographed(canvas, level, np.random.default_rng([self.seed, number]))
        image = np.repeat(grey[:, :, None], 3, axis=2)
        return ConditionScene(image, np.array(rows, dtype=np.float64).reshape(-1, 4), is_ignored)

    def _draw_head(self, canvas: Grey, level: Level, square: Square, rng: np.random.Generator) -> None:
        faces = self.faces if level.is_any else self.frontal
        face = faces[int(rng.random() * len(faces))]
        sides, roll = rng.choice((-1, 1), 2), rng.uniform(*level.roll)
        self._surfaces.rng = rng
        if level.heads == "faces":
            head = self._painter.with_face(face, level.cover, level.shade)
        else:
            head = self._painter.without_face()
        place(canvas, head, Pose(sides[0] * roll, turn=sides[1] * level.turn, taper=level.turn / 2), square)


def _background(photograph: Photograph) -> tuple[Grey, list[Square]]:
    """Return a photograph (720, 960), float32, and the squares of the faces that are known in it."""
    height, width = photograph.image.shape
    factor = max(WIDTH / width, HEIGHT / height)
    shape = max(round(width * factor), WIDTH), max(round(height * factor), HEIGHT)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(photograph.image, shape, interpolation=way)
    left, top = (shape[0] - WIDTH) // 2, (shape[1] - HEIGHT) // 2
    squares = [(cx * factor - left, cy * factor - top, side * factor) for cx, cy, side in photograph.faces]
    return np.asarray(scaled[top : top + HEIGHT, left : left + WIDTH], dtype=np.float32), squares


def _free_square(level: Level, drawn: Sequence[Square], rng: np.random.Generator) -> Square | None:
    """Return a square whose head would cover no face drawn before; None if there is no place."""
    side = float(np.exp(rng.uniform(*np.log(level.sides))))
    for x, y in rng.uniform(0, 1, (TRIES, 2)):
        cx, cy = side / 2 + x * (WIDTH - side), side / 2 + y * (HEIGHT - side)
        if all(max(abs(cx - a), abs(cy - b)) > REACH * side + other / 2 for a, b, other in drawn):
            return cx, cy, side
    return None


def _photographed(canvas: Grey, level: Level, rng: np.random.Generator) -> NDArray[np.uint8]:
    grey = np.clip(canvas, 0, 255)
    mean = grey.mean()
    grey = ((grey - mean) * level.contrast + mean) * level.light
    if level.noise:
        grey = grey + rng.normal(0, level.noise, grey.shape)
    return np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)
