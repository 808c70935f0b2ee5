"""Adapter of `py-feat`; action units, identity and gaze are off. Its weights are downloaded when it loads."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from feat import Detectorv1

BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")


class Tool:
    """py-feat through Detectorv1.detect."""

    version = version("py-feat")
    labels = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")

    def __init__(self, options: dict[str, Any]) -> None:
        del options

    def load(self, threads: int | None) -> None:
        """Load detector and networks."""
        if threads is not None:
            torch.set_num_threads(threads)
        self.detector = Detectorv1(au_model=None, identity_model=None, gaze_model=None)

    def crop(self, pixels: Any, way: str) -> list[float] | None:
        """Return the scores of the first face found: there is no public call without detection."""
        del way
        image = torch.from_numpy(pixels.copy()).expand(1, 3, *pixels.shape).float()
        faces = self._rows(self.detector.detect(image, data_type="tensor", progress_bar=False))
        return faces[0]["scores"] if faces else None

    def image(self, path: str) -> list[dict[str, Any]]:
        """Return the faces of a file."""
        return self._rows(self.detector.detect(path, data_type="image", progress_bar=False))

    def video(self, path: str) -> list[int]:
        """Return the number of faces in each frame."""
        table = self.detector.detect(path, data_type="video", progress_bar=False)
        return [int(n) for n in table.groupby("frame")["FaceScore"].count()]

    def _rows(self, table: Any) -> list[dict[str, Any]]:
        found = table.dropna(subset=["FaceScore"])
        return [
            {"box": [float(row[key]) for key in BOX], "scores": [float(row[label]) for label in self.labels]}
            for _, row in found.iterrows()
        ]
