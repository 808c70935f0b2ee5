"""Adapter of `emotiefflib` with ONNX Runtime; it downloads its weights when it loads, and does not find faces."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from emotiefflib.facial_analysis import EmotiEffLibRecognizer


class Tool:
    """emotiefflib through predict_emotions, with its default network."""

    version = version("emotiefflib")
    labels = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")

    def __init__(self, options: dict[str, Any]) -> None:
        del options

    def load(self, threads: int | None) -> None:
        """Load the network; the tool does not let its threads be chosen."""
        del threads
        self.recognizer = EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf", device="cpu")

    def crop(self, pixels: Any, way: str) -> list[float] | None:
        """Return the scores of an image that is one face."""
        del way
        colours = np.repeat(pixels[:, :, None], 3, axis=2)
        return [float(score) for score in self.recognizer.predict_emotions(colours, logits=False)[1][0]]

    def image(self, path: str) -> list[dict[str, Any]]:
        """Fail: finding faces is left to other packages."""
        raise NotImplementedError(f"{path}: the tool does not find faces")

    def video(self, path: str) -> list[int]:
        """Fail: finding faces is left to other packages."""
        raise NotImplementedError(f"{path}: the tool does not find faces")
