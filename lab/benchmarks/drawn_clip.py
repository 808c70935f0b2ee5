"""A clip to measure video with: three drawn faces that move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.expressions import Expression
from mien.data.synthetic import draw_face
from mien.inference.detectors import Detector
from mien.inference.video.recording import VideoRecorder

RATE = 25
FACES = 3


def draw_frames(detectors: Sequence[Detector], size: tuple[int, int], count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield RGB frames with three moving drawn faces that every detector finds."""
    side = min(size[1] * 2 // 5, size[0] // 4)  # so that three fit next to each other
    drawings = choose_faces(_draw_faces(side), detectors)
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 200, (size[1], size[0], 3), dtype=np.uint8)
    background = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), dtype=np.uint8)
    yield from move_faces(drawings, background, count)


def move_faces(
    faces: Sequence[NDArray[np.uint8]], background: NDArray[np.uint8], count: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield RGB frames: faces (side, side, 3), next to each other, move in circles on a background (h, w, 3)."""
    side, size = len(faces[0]), background.shape[1::-1]
    for index in range(count):
        frame = np.array(background)
        for number, face in enumerate(faces):
            angle = 2 * np.pi * index / (RATE * (4 + number))
            x = round(size[0] * (2 * number + 1) / (2 * len(faces)) - side / 2 + 0.15 * side * np.sin(angle))
            y = round(size[1] / 2 - side / 2 + 0.15 * side * np.cos(angle))
            frame[y : y + side, x : x + side] = face
        yield frame


def choose_faces(faces: Iterable[NDArray[np.uint8]], detectors: Sequence[Detector]) -> list[NDArray[np.uint8]]:
    """Return the first three of the faces, grey (side, side), as RGB (side, side, 3), that each detector finds once."""
    chosen: list[NDArray[np.uint8]] = []
    for face in faces:
        side, rgb = len(face), np.asarray(cv2.cvtColor(face, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
        image = np.full((2 * side, 3 * side, 3), 128, dtype=np.uint8)
        image[side // 2 : side // 2 + side, side : 2 * side] = rgb
        if all(len(detector.detect(image)) == 1 for detector in detectors):
            chosen.append(rgb)
        if len(chosen) == FACES:
            return chosen
    names = ", ".join(detector.name for detector in detectors)
    raise MienError(f"Too few of the faces are found by {names}; use others.")


def _draw_faces(side: int) -> Iterator[NDArray[np.uint8]]:
    for seed in range(100):
        face = draw_face(Expression.NEUTRAL, np.random.default_rng(seed))
        yield np.asarray(cv2.resize(face, (side, side)), dtype=np.uint8)


def write_clip(path: Path, frames: Iterator[NDArray[np.uint8]]) -> None:
    """Write frames as an H.264 file."""
    recorder = VideoRecorder(path)
    for index, frame in enumerate(frames):
        recorder.write(frame, index / RATE)
    recorder.close()
