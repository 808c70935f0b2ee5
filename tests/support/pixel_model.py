"""A model whose answers can be drawn: the first pixels of a face are its probabilities, times 255."""

from __future__ import annotations

import numpy as np

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import LabelSet
from mien.inference.model import Scores

SIZE = 8


class PixelModel:
    """Stands in for a network on grey faces of 8 x 8 pixels; remembers the sizes of its batches."""

    def __init__(self, *labels: str, name: str = "pixels", **card: object) -> None:
        spec = InputSpec(size=SIZE, channels=1, mean=0.0, std=1.0)
        self.card = ModelCard(name, "none", LabelSet.of(labels), spec, CropSpec(), **card)
        self.batches: list[int] = []

    def predict(self, faces: np.ndarray) -> Scores:
        """Return the first pixels of each face."""
        self.batches.append(len(faces))
        probabilities = faces[:, 0, 0, : len(self.card.labels)]
        return Scores(np.log(np.maximum(probabilities, 1e-9)), probabilities, faces[:, 0, 1, 0])
