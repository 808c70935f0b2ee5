"""Compose scenes: a piece of a photograph, things, and heads with and without faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.scenes.cameras import photograph
from mien.data.scenes.heads import Head, HeadPainter, X, Y
from mien.data.scenes.photographs import Scenes
from mien.data.scenes.placing import Pose, place
from mien.data.scenes.surfaces import Grey, Surfaces

SIDE = 128  # pixels of a scene
# Sides of faces to be found; smaller and larger ones are drawn too, and ignored.
SMALLEST, LARGEST = 16.0, 48.0
HEADS = (0.18, 0.32, 0.24, 0.13, 0.08, 0.05)  # the share of scenes with 0, 1, 2 ... drawn heads
FACE_SHARE = 0.62  # of the drawn heads
KNOWN_SHARE = 0.25  # of the scenes show a piece of a photograph with known faces, if there are any
# A hard place is shown with its square drawn between these sides.
HARD_SIDES = (18.0, 42.0)

Square = tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """A scene to learn from.

    Attributes:
        image: (128, 128) uint8.
        faces: (n, 4) rows cx, cy, side, roll in degrees (NaN: unknown), of faces to be found.
        ignored: (m, 3) rows cx, cy, side, of places that count neither way.
    """

    image: NDArray[np.uint8]
    faces: NDArray[np.float64]
    ignored: NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """A square of a photograph, by its number, that a detector took for a face."""

    photograph: int
    square: Square


class Composer:
    """Composes scenes.

    Args:
        faces: (n, 48, 48) uint8.
        scenes: Photographs to draw on, and objects.
        seed: Of the random numbers, see `reseed`.
    """

    def __init__(self, faces: NDArray[np.uint8], scenes: Scenes, seed: int | Sequence[int] = 0) -> None:
        self.scenes = scenes
        self.surfaces = Surfaces(scenes.photographs, np.random.default_rng(seed))
        self.heads = HeadPainter(faces, self.surfaces)
        self.known = [n for n, each in enumerate(scenes.photographs) if not each.is_ignored.all()]

    @property
    def rng(self) -> np.random.Generator:
        """The generator of every random number."""
        return self.surfaces.rng

    def reseed(self, seed: int | Sequence[int]) -> None:
        """Start a new sequence of random numbers: equal seeds give equal scenes."""
        self.surfaces.rng = np.random.default_rng(seed)

    def scene(self, hard: Place | None = None) -> Scene:
        """Compose a scene; `hard` is a place that it shows."""
        rng = self.rng
        canvas, known, ignored = self._background(hard)
        faces = [(*square, np.nan) for square in known]
        taken = [*known, *ignored]
        self._add_things(canvas, taken)
        for _ in range(rng.choice(len(HEADS), p=HEADS)):
            has_face = rng.random() < FACE_SHARE
            square = self._free_square(taken)
            if square is None:
                continue
            pose = Pose.draw(rng)
            self._add_head(canvas, square, pose, taken, has_face=has_face)
            taken.append(square)
            if has_face and SMALLEST <= square[2] <= LARGEST and _share_inside(square) >= 0.6:
                faces.append((*square, pose.roll))
            elif has_face:
                ignored.append(square)
        image = photograph(canvas, self.surfaces)
        seen = [_is_visible(image, (cx, cy, side)) for cx, cy, side, _ in faces]
        ignored += [face[:3] for face, is_seen in zip(faces, seen, strict=True) if not is_seen]
        found = [face for face, is_seen in zip(faces, seen, strict=True) if is_seen]
        return Scene(image, np.array(found, float).reshape(-1, 4), np.array(ignored, float).reshape(-1, 3))

    def _background(self, hard: Place | None) -> tuple[Grey, list[Square], list[Square]]:
        """Return a piece of a photograph, the known faces in it, and those to be ignored."""
        rng = self.rng
        if hard is not None:
            number = hard.photograph
        elif self.known and rng.random() < KNOWN_SHARE:
            number = self.known[rng.integers(len(self.known))]
        else:
            number = int(rng.integers(len(self.scenes.photographs)))
        source = self.scenes.photographs[number]
        shortest = min(source.image.shape)
        if hard is not None:
            x, y, side = self._around(hard.square, HARD_SIDES, source.image.shape)
        elif len(source.faces) and rng.random() < 0.6:
            face = source.faces[rng.integers(len(source.faces))]
            x, y, side = self._around((face[0], face[1], face[2]), (17.0, 44.0), source.image.shape)
        else:
            side = int(np.exp(rng.uniform(np.log(min(60, shortest)), np.log(shortest))))
            x, y = (int(rng.integers(length - side + 1)) for length in source.image.shape[::-1])
        piece = source.image[y : y + side, x : x + side]
        piece = np.asarray(
            cv2.resize(piece, (SIDE, SIDE), interpolation=cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR)
        )
        known, ignored, is_mirrored = list[Square](), list[Square](), rng.random() < 0.5
        for (cx, cy, length), is_ignored in zip(source.faces, source.is_ignored, strict=True):
            square = ((cx - x) * SIDE / side, (cy - y) * SIDE / side, length * SIDE / side)
            square = (SIDE - square[0], *square[1:]) if is_mirrored else square
            is_found = not is_ignored and SMALLEST <= square[2] <= LARGEST and _is_well_inside(square)
            (known if is_found else ignored).append(square)
        return np.ascontiguousarray(piece[:, ::-1] if is_mirrored else piece).astype(np.float32), known, ignored

    def _around(self, square: Square, sides: tuple[float, float], shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return left, top and side of a piece that shows a square with a side drawn from `sides`, in its pixels."""
        rng, shortest = self.rng, min(shape)
        side = int(np.clip(square[2] * SIDE / np.exp(rng.uniform(*np.log(sides))), min(40, shortest), shortest))
        starts = [
            int(np.clip(centre - side * rng.uniform(0.2, 0.8), 0, length - side))
            for centre, length in zip(square[:2], shape[::-1], strict=True)
        ]
        return starts[0], starts[1], side

    def _free_square(self, taken: Sequence[Square]) -> Square | None:
        """Return a square for a face that is apart from those taken; None if there is no place."""
        rng = self.rng
        drawn = rng.random()
        if drawn < 0.86:  # small faces are the hardest, so half of them are small
            side = float(np.exp(rng.uniform(np.log(16), np.log(28 if drawn < 0.43 else 46))))
        else:
            side = float(rng.uniform(7, 14) if drawn < 0.93 else rng.uniform(60, 110))
        for _ in range(6):
            if rng.random() < 0.15:
                cx, cy = rng.uniform(-0.1 * side, SIDE + 0.1 * side, 2)
            else:
                cx, cy = rng.uniform(side / 2, max(side / 2 + 1, SIDE - side / 2), 2)
            gap = 0.62 if rng.random() < 0.8 else 0.45
            if all(max(abs(cx - x), abs(cy - y)) > (side + other) * gap for x, y, other in taken):
                return float(cx), float(cy), side
        return None

    def _add_head(self, canvas: Grey, square: Square, pose: Pose, taken: Sequence[Square], *, has_face: bool) -> None:
        rng = self.rng
        head = self.heads.with_face() if has_face else self.heads.without_face()
        cx, cy, side = square
        reach = side * 1.5
        if any(max(abs(cx - x), abs(cy - y)) < reach + other / 2 for x, y, other in taken):
            # nobody's face is covered by another's hair or shoulders
            head = Head(head.grey, head.alpha * ((np.abs(X) < 0.52) & (np.abs(Y) < 0.56)))
        mean = head.grey[48:96, 48:96].mean()
        grey = (head.grey - mean) * rng.uniform(0.3, 1.3) + mean + rng.uniform(-60, 50)
        place(canvas, Head(np.clip(grey, 0, 255).astype(np.float32), head.alpha.astype(np.float32)), pose, square)

    def _add_things(self, canvas: Grey, taken: Sequence[Square]) -> None:
        """Draw an object, lights out of focus or letters where no face is, each into some of the scenes."""
        rng = self.rng
        if self.scenes.objects and rng.random() < 0.3:
            self._add_object(canvas, taken)
        if rng.random() < 0.08:
            for _ in range(rng.integers(1, 8)):
                x, y, radius = (*rng.uniform(0, SIDE, 2), rng.uniform(3, 20))
                if _is_free((x, y, 2 * radius), taken):
                    spot = np.zeros_like(canvas)
                    cv2.circle(spot, (int(x), int(y)), int(radius), 1.0, -1)
                    spot = np.asarray(cv2.GaussianBlur(spot, (5, 5), 0), dtype=np.float32)
                    canvas += (rng.uniform(60, 255) - canvas) * spot * rng.uniform(0.3, 0.9)
        if rng.random() < 0.08:
            for _ in range(rng.integers(1, 4)):
                x, y = rng.integers(0, SIDE, 2).tolist()
                text = "".join(chr(code) for code in rng.integers(48, 123, rng.integers(1, 6)))
                font, size, value, width = int(rng.integers(0, 8)), rng.uniform(0.4, 2), rng.uniform(0, 255), 5
                if _is_free((x, y, 0), taken):
                    cv2.putText(canvas, text, (x, y), font, size, value, int(rng.integers(1, width)), cv2.LINE_AA)

    def _add_object(self, canvas: Grey, taken: Sequence[Square]) -> None:
        rng = self.rng
        thing = self.scenes.objects[int(rng.integers(len(self.scenes.objects)))]
        factor = rng.uniform(0.15, 0.7) * SIDE / max(thing.shape[:2])
        width, height = (max(4, int(length * factor)) for length in thing.shape[1::-1])
        thing = np.asarray(cv2.resize(thing, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        y, x = rng.integers(0, max(1, SIDE - height)), rng.integers(0, max(1, SIDE - width))
        if all(
            abs(x + width / 2 - cx) > (width + side) / 2 or abs(y + height / 2 - cy) > (height + side) / 2
            for cx, cy, side in taken
        ):
            patch = canvas[y : y + height, x : x + width]
            patch += (thing[..., 0] - patch) * (thing[..., 1] / np.float32(255))


def _is_free(square: Square, taken: Sequence[Square]) -> bool:
    x, y, side = square
    return all(max(abs(x - cx), abs(y - cy)) > side / 2 + other for cx, cy, other in taken)


def _is_well_inside(square: Square) -> bool:
    return all(square[2] * 0.3 < centre < SIDE - square[2] * 0.3 for centre in square[:2])


def _share_inside(square: Square) -> float:
    """Return the share of a square's area that lies in the scene."""
    cx, cy, side = square
    width, height = (max(0.0, min(c + side / 2, SIDE) - max(c - side / 2, 0)) for c in (cx, cy))
    return width * height / side**2


def _is_visible(image: NDArray[np.uint8], square: Square) -> bool:
    """Return whether the middle of a face shows more than noise: what nobody could see is not asked for."""
    cx, cy, side = square
    top, left = int(max(0, cy - side * 0.35)), int(max(0, cx - side * 0.35))
    middle = image[top : int(cy + side * 0.35) + 1, left : int(cx + side * 0.35) + 1].astype(np.float32)
    if middle.size <= 9:
        return False
    smooth = cv2.blur(middle, (3, 3))
    return bool(smooth.std() > 3.5 and smooth.std() > 0.5 * (middle - smooth).std())
