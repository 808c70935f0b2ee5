"""Synthetic clips with ground truth: face crops that move, change, occlude each other and leave.

A clip depends only on its seed.
"""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec
from mien.core.decoding import read_image
from mien.core.image import crop_face
from mien.core.types import Box, Detection

# Side of a crop relative to the face box: with hair, chin and ears.
SURROUND = 1.5
# YuNet's boxes of the two portraits.
ASTRONAUT = Box(178, 63, 90, 113)
HOPPER = Box(183, 120, 170, 213)
# Standard deviation of each pixel's noise, in grey levels.
NOISE = 4.0
# Largest share of a box that may be hidden if a detector still finds the face.
MOST_HIDDEN = 0.5


@dataclass(frozen=True)
class Pose:
    """Centre of a face box in world pixels, its height, and the tilt of the head in degrees."""

    x: float
    y: float
    height: float
    tilt: float = 0.0


Path = Callable[[float], Pose | None]
"""From a time in seconds to the pose; None: absent."""


@dataclass(frozen=True)
class Look:
    """A face crop (n, n, 3), RGB, with its box in the middle."""

    crop: NDArray[np.uint8]
    aspect: float = 0.8  # width of the face box relative to its height

    def mirrored(self) -> Look:
        """Return the mirrored face."""
        return replace(self, crop=self.crop[:, ::-1].copy())

    def tinted(self, red: float, green: float, blue: float) -> Look:
        """Return the face with scaled colour channels."""
        tint = np.clip(self.crop * np.array([red, green, blue]), 0, 255).astype(np.uint8)
        return replace(self, crop=tint)


@dataclass(frozen=True)
class Actor:
    """A person on a `path`; `looks` are (start in seconds, look), the first from the beginning."""

    path: Path
    looks: Sequence[tuple[float, Look]]

    def look(self, time: float) -> Look:
        """Return the look at a time."""
        return [look for start, look in self.looks if start <= time][-1]


@dataclass(frozen=True)
class Truth:
    """A face in a frame: index of the actor, box, visible share (0 to 1)."""

    actor: int
    box: Box
    visible: float

    @property
    def is_visible(self) -> bool:
        """Whether a detector is expected to find it."""
        return self.visible >= 1 - MOST_HIDDEN


@dataclass(frozen=True)
class ClipFrame:
    """A frame: seconds since the first, RGB (h, w, 3), and its faces, visible or not."""

    index: int
    time: float
    pixels: NDArray[np.uint8]
    faces: list[Truth]


@dataclass(frozen=True)
class Faults:
    """Errors of a detector."""

    jitter: float = 0.0  # standard deviation of each edge, relative to the face's height
    missed: float = 0.0  # share of faces not found
    false: float = 0.0  # probability of a false box per frame


@dataclass(frozen=True)
class Clip:
    """A clip: later actors occlude earlier ones; occluders occlude all."""

    actors: Sequence[Actor]
    seconds: float = 4.0
    fps: float = 30.0
    size: tuple[int, int] = (640, 360)  # width and height in pixels
    occluders: Sequence[Path] = ()  # of grey pillars as tall as the frame; a pose's height is the width
    camera: Callable[[float], tuple[float, float]] = lambda time: (0.0, 0.0)  # the offset of the view in world pixels
    uneven: float = 0.0  # maximum jitter of frame times, in frames (0 to 0.9)
    seed: int = 0

    @property
    def times(self) -> list[float]:
        """The times of the frames in seconds: increasing, from 0."""
        shifts = np.random.default_rng(self.seed).uniform(0, self.uneven, max(round(self.seconds * self.fps), 1))
        shifts[0] = 0
        return [float((i + shift) / self.fps) for i, shift in enumerate(shifts)]

    def frames(self) -> Iterator[ClipFrame]:
        """Yield the frames."""
        rng = np.random.default_rng([self.seed, 1])
        background = _background(self.size, rng)
        grain = rng.normal(0, NOISE, (self.size[1] + 64, self.size[0] + 64, 3)).astype(np.int16)
        for index, time in enumerate(self.times):
            left, top = self.camera(time)
            canvas = _view(background, left, top, self.size)
            faces = list[Truth]()
            for number, actor in enumerate(self.actors):
                pose = actor.path(time)
                if pose is None:
                    continue
                pose = replace(pose, x=pose.x - left, y=pose.y - top)
                look = actor.look(time)
                box = _box(pose, look.aspect)
                faces = [replace(face, visible=face.visible * (1 - _covered(face.box, box))) for face in faces]
                _paste(canvas, look, pose)
                faces.append(Truth(number, box, _covered(box, Box(0, 0, *self.size))))
            for path in self.occluders:
                if (pillar := path(time)) is not None:
                    faces = self._hide(canvas, faces, pillar.x - left, pillar.height)
            top, left = rng.integers(0, 64, 2)
            piece = grain[top : top + self.size[1], left : left + self.size[0]]
            yield ClipFrame(index, time, np.asarray(cv2.add(canvas, piece, dtype=cv2.CV_8U), dtype=np.uint8), faces)

    def detections(self, frame: ClipFrame, faults: Faults = Faults()) -> list[Detection]:
        """Return what a detector would find in a frame of this clip: every visible face, with errors."""
        rng = np.random.default_rng([self.seed, 2, frame.index])
        found = list[Detection]()
        for face in frame.faces:
            shift = rng.normal(0, 1, 4) * faults.jitter * face.box.height
            is_missed = rng.random() < faults.missed
            if face.is_visible and not is_missed:
                b = face.box
                x, y, right, bottom = (np.array([b.x, b.y, b.x + b.width, b.y + b.height]) + shift).tolist()
                found.append(Detection(Box(x, y, right - x, bottom - y), score=0.9))
        if rng.random() < faults.false:
            side = float(rng.uniform(0.1, 0.3)) * self.size[1]
            x, y = rng.uniform(0, self.size[0] - side), rng.uniform(0, self.size[1] - side)
            found.append(Detection(Box(float(x), float(y), side, side), score=0.75))
        return found

    def _hide(self, canvas: NDArray[np.uint8], faces: list[Truth], x: float, width: float) -> list[Truth]:
        first, last = (min(max(round(edge), 0), self.size[0]) for edge in (x - width / 2, x + width / 2))
        canvas[:, first:last] = (70 + 40 * np.sin(np.arange(first, last) - x)[:, None]).astype(np.uint8)
        pillar = Box(x - width / 2, 0, width, self.size[1])
        return [replace(face, visible=face.visible * (1 - _covered(face.box, pillar))) for face in faces]


def cut_look(image: NDArray[np.uint8], box: Box) -> Look:
    """Cut a face and its surroundings from an RGB image (h, w, 3)."""
    height = box.height * SURROUND
    square = Box(box.centre[0] - height / 2, box.centre[1] - height / 2, height, height)
    return Look(crop_face(image, square, CropSpec(scale=1.0, shift_x=0.0, shift_y=0.0)), box.width / box.height)


def portrait_looks(astronaut: NDArray[np.uint8], hopper: pathlib.Path) -> list[Look]:
    """Return six people made from two portraits (fixtures `astronaut`, `hopper`), alternating."""
    first, second = cut_look(astronaut, ASTRONAUT), cut_look(read_image(hopper), HOPPER)
    return [
        first,
        second,
        first.mirrored().tinted(0.6, 0.6, 0.75),
        second.mirrored().tinted(1.0, 0.75, 0.6),
        first.tinted(0.7, 0.9, 1.0),
        second.tinted(0.55, 0.6, 0.55),
    ]


def line(start: tuple[float, float], speed: tuple[float, float], height: float, growth: float = 0.0) -> Path:
    """Return a straight path: from (x, y), `speed` in pixels per second; the height grows by e^growth per second."""
    return lambda t: Pose(start[0] + speed[0] * t, start[1] + speed[1] * t, height * math.exp(growth * t))


def sway(path: Path, reach: tuple[float, float], hertz: float = 0.5, tilt: float = 0.0) -> Path:
    """Return a path with a sine added: `reach` pixels to each side in x and y, `tilt` degrees."""

    def swaying(time: float) -> Pose | None:
        pose, wave = path(time), math.sin(2 * math.pi * hertz * time)
        if pose is None:
            return None
        return replace(pose, x=pose.x + reach[0] * wave, y=pose.y + reach[1] * wave, tilt=pose.tilt + tilt * wave)

    return swaying


def present(path: Path, since: float, until: float = math.inf) -> Path:
    """Return a path that exists only between two times, in seconds."""
    return lambda time: path(time) if since <= time < until else None


def _box(pose: Pose, aspect: float) -> Box:
    width = pose.height * aspect
    return Box(pose.x - width / 2, pose.y - pose.height / 2, width, pose.height)


def _paste(canvas: NDArray[np.uint8], look: Look, pose: Pose) -> None:
    """Draw the crop inside a soft oval."""
    side = pose.height * SURROUND
    x0, y0 = (math.floor(v - side / 2) for v in (pose.x, pose.y))
    x1, y1 = (math.ceil(v + side / 2) for v in (pose.x, pose.y))
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, canvas.shape[1]), min(y1, canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    n = look.crop.shape[0]
    matrix = cv2.getRotationMatrix2D((n / 2 - 0.5, n / 2 - 0.5), pose.tilt, side / n)
    matrix[:, 2] += [pose.x - x0 - n / 2, pose.y - y0 - n / 2]
    source = look.crop
    if side < n / 2:  # against aliasing
        source = cv2.blur(source, (round(n / side), round(n / side)))
    head = cv2.warpAffine(source, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(_oval(n), matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)[:, :, None]
    region = canvas[y0:y1, x0:x1]
    region[:] = (head * alpha + region * (1 - alpha)).astype(np.uint8)


@functools.cache
def _oval(n: int) -> NDArray[np.float32]:
    axis = (np.arange(n, dtype=np.float32) + 0.5) / n * 2 - 1
    radius = np.hypot(axis[None, :] / 0.72, axis[:, None] / 0.95)
    return np.clip((1 - radius) * 12, 0, 1).astype(np.float32)


def _background(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a soft tileable pattern, larger than the view."""
    shape = (size[1] + 64, size[0] + 64, 3)
    coarse, fine = (
        cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        for sigma in (24, 3)
    )
    return np.clip(128 + 30 * coarse / coarse.std() + 10 * fine / fine.std(), 0, 255).astype(np.uint8)


def _view(background: NDArray[np.uint8], left: float, top: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    rolled = np.roll(background, (-round(top), -round(left)), axis=(0, 1)) if left or top else background
    return rolled[: size[1], : size[0]].copy()


def shared_area(a: Box, b: Box) -> float:
    """Return the area of the intersection of two boxes, in pixels."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    return max(width, 0.0) * max(height, 0.0)


def _covered(box: Box, other: Box) -> float:
    return shared_area(box, other) / (box.width * box.height)
