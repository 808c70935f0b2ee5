"""Adapter of `rmn`, the residual masking network; its weights are downloaded when it is imported."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import cv2
import torch
from rmn import RMN


class Tool:
    """rmn through its public methods for one face and for one frame."""

    version = version("rmn")
    labels = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

    def __init__(self, options: dict[str, Any]) -> None:
        del options

    def load(self, threads: int | None) -> None:
        """Load detector and network."""
        if threads is not None:
            cv2.setNumThreads(threads)
            torch.set_num_threads(threads)
        self.rmn = RMN()

    def crop(self, pixels: Any, way: str) -> list[float] | None:
        """Return the scores of an image that is one face."""
        del way
        return self._scores(self.rmn.detect_emotion_for_single_face_image(pixels)[2])

    def image(self, path: str) -> list[dict[str, Any]]:
        """Return the faces of a file."""
        return self._frame(cv2.imread(path))

    def video(self, path: str) -> list[int]:
        """Return the number of faces in each frame."""
        capture, counts = cv2.VideoCapture(path), []
        while (frame := capture.read()[1]) is not None:
            counts.append(len(self._frame(frame)))
        return counts

    def _frame(self, image: Any) -> list[dict[str, Any]]:
        return [
            {
                "box": [int(n) for n in (x["xmin"], x["ymin"], x["xmax"] - x["xmin"], x["ymax"] - x["ymin"])],
                "scores": self._scores(x["proba_list"]),
            }
            for x in self.rmn.detect_emotion_for_single_frame(image)
        ]

    def _scores(self, listed: list[dict[str, float]]) -> list[float]:
        merged = {label: value for one in listed for label, value in one.items()}
        return [merged[label] for label in self.labels]
