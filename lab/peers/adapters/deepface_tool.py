"""Adapter of `deepface`; its default detector, OpenCV's, finds the faces. Its weights are downloaded when it loads."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import cv2
from deepface import DeepFace


class Tool:
    """deepface through DeepFace.analyze."""

    version = version("deepface")
    labels = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

    def __init__(self, options: dict[str, Any]) -> None:
        del options

    def load(self, threads: int | None) -> None:
        """Load the network; its library takes its threads from the environment."""
        if threads is not None:
            cv2.setNumThreads(threads)
        DeepFace.build_model("Emotion", task="facial_attribute")

    def crop(self, pixels: Any, way: str) -> list[float] | None:
        """Return the scores of an image that is one face."""
        del way
        colours = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return self._analyze(colours, detector_backend="skip")[0]["scores"]

    def image(self, path: str) -> list[dict[str, Any]]:
        """Return the faces of a file."""
        return self._analyze(path)

    def video(self, path: str) -> list[int]:
        """Return the number of faces in each frame; the tool itself only shows videos in a window."""
        capture, counts = cv2.VideoCapture(path), []
        while (frame := capture.read()[1]) is not None:
            counts.append(len(self._analyze(frame)))
        return counts

    def _analyze(self, image: Any, **settings: Any) -> list[dict[str, Any]]:
        faces = DeepFace.analyze(image, actions=["emotion"], enforce_detection=False, silent=True, **settings)
        return [
            {
                "box": [face["region"][key] for key in "xywh"],
                "scores": [float(face["emotion"][label]) for label in self.labels],
            }
            for face in faces
            if settings or face["face_confidence"] > 0  # without a face, the whole image is analyzed
        ]
