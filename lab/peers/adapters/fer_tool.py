"""Adapter of `fer`; its detector and its network are those that FER() makes without arguments."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import cv2
from fer.classes import Video
from fer.fer import FER  # `from fer import FER`, which its README shows, fails in 25.10.3


class Tool:
    """fer through detect_emotions and Video.analyze."""

    version = version("fer")
    labels = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

    def __init__(self, options: dict[str, Any]) -> None:
        del options

    def load(self, threads: int | None) -> None:
        """Load detector and network; TensorFlow takes its threads from the environment."""
        if threads is not None:
            cv2.setNumThreads(threads)
        self.ways = {"public": FER()}

    def crop(self, pixels: Any, way: str) -> list[float] | None:
        """Return the scores of a rectangle that is the whole image."""
        if way == "best" and way not in self.ways:
            self.ways[way] = FER(offsets=(0, 0))  # by default, a rectangle is enlarged by 10 pixels on each side
        colours = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        height, width = pixels.shape
        faces = self.ways[way].detect_emotions(colours, face_rectangles=[(0, 0, width, height)])
        return [faces[0]["emotions"][label] for label in self.labels] if faces else None

    def image(self, path: str) -> list[dict[str, Any]]:
        """Return the faces of a file."""
        faces = self.ways["public"].detect_emotions(path)
        return [
            {"box": [int(n) for n in face["box"]], "scores": [face["emotions"][label] for label in self.labels]}
            for face in faces
        ]

    def video(self, path: str) -> list[int]:
        """Return the number of faces in each frame."""
        data = Video(path).analyze(
            self.ways["public"], display=False, save_frames=False, save_video=False, annotate_frames=False
        )
        return [sum(key.startswith("box") for key in frame) for frame in data]
