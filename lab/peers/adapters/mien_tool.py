"""Adapter of mien; options: `model` (a name or a file) and `views`."""

from __future__ import annotations

from typing import Any

import mien


class Tool:
    """mien through its public Recognizer."""

    version = mien.__version__
    labels: tuple[str, ...] = ()

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def load(self, threads: int | None) -> None:
        """Load the network, and the detector; the network runs on one thread by default."""
        if threads is not None:
            import cv2

            cv2.setNumThreads(threads)
        views = self.options.get("views", "one")
        self.finder = mien.Recognizer(self.options.get("model", "default"), threads=threads or 1, views=views)
        self.whole = mien.Recognizer(self.finder.model, detector="none", views=views)
        self.labels = self.whole.card.labels.names

    def crop(self, pixels: Any, way: str) -> list[float] | None:
        """Return the scores of an image that is one face."""
        del way
        (face,) = self.whole.recognize(pixels).faces
        return list(face.probabilities.values())

    def image(self, path: str) -> list[dict[str, Any]]:
        """Return the faces of a file."""
        return [_as_row(face) for face in self.finder.recognize(path).faces]

    def video(self, path: str) -> list[int]:
        """Return the number of faces in each frame."""
        return [len(frame.faces) for frame in mien.stream(path, self.finder)]


def _as_row(face: Any) -> dict[str, Any]:
    box = face.box
    return {"box": [box.x, box.y, box.width, box.height], "scores": list(face.probabilities.values())}
