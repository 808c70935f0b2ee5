"""The methods by name, and a network that can be asked for explanations. Free of torch: gradients lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import ModelError, did_you_mean
from mien.explain.maps import ExplanationMap
from mien.explain.occlusion import occlude
from mien.inference.model import Model, OnnxModel, model_files

Images = NDArray[np.float32]
# Maps of a stage's positions, by gradients.
STAGE_METHODS = ("gradcam", "gradcam++", "layercam")
PARTS = "parts"
METHODS = (*STAGE_METHODS, "integrated_gradients", "occlusion", PARTS)
LARGEST_BATCH = 16


class Explainer:
    """A network and its card, asked where in a face it sees an expression.

    This one knows a network's answers only, as of an .onnx file; `TorchExplainer` knows its gradients and parts too.
    """

    methods: ClassVar[tuple[str, ...]] = ("occlusion",)
    """What it can do; the first is what it does when nothing is asked for."""

    def __init__(self, model: Model, source: str) -> None:
        self.model = model
        self.source = source

    @property
    def card(self) -> ModelCard:
        """What the network is."""
        return self.model.card

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in order."""
        return self.card.labels.names

    @property
    def input_size(self) -> int:
        """The side of the pictures that the network was trained on, in pixels."""
        return self.card.input.size

    @property
    def channels(self) -> int:
        """1 for grey pictures, 3 for RGB."""
        return self.card.input.channels

    @property
    def layers(self) -> tuple[str, ...]:
        """The stages that a method may look at, in the order they run; empty where none can be."""
        return ()

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Return probabilities (n, labels) of normalised images (n, c, h, w)."""
        return self.model.predict(images).probabilities

    def explain(
        self, images: Images, method: str | None = None, layer: str | None = None, labels: Sequence[int] | None = None
    ) -> list[ExplanationMap]:
        """Return one map an image.

        Args:
            images: (n, c, h, w) float32, normalised: what `to_batch(crops, explainer.card.input)` returns.
            method: One of `methods`; None: the first. "parts" gives one part's own map; see `parts` for all.
            layer: The stage for a method that looks at one, the last where None; for "parts" the part's name.
            labels: The class of each image that is explained; None: the most probable.

        Raises:
            ModelError: No such method, layer or class, or not for this network; the images do not fit.
        """
        name = self.check_method(self.methods[0] if method is None else method)
        self._check_images(images)
        chosen = self._chosen(images, labels)
        if name not in (*STAGE_METHODS, PARTS) and layer is not None:
            raise ModelError(f"'{name}' looks at the picture itself, not at a layer such as '{layer}'; leave it out.")
        found: list[ExplanationMap] = []
        for first in range(0, len(images), LARGEST_BATCH):
            rows = slice(first, first + LARGEST_BATCH)
            found += self._explain(np.ascontiguousarray(images[rows], dtype=np.float32), name, layer, chosen[rows])
        return found

    def parts(self, images: Images) -> list[list[ExplanationMap]]:
        """Return for each image the maps that the network's own parts weigh by.

        Raises:
            ModelError: The network has no such parts, or is an .onnx file.
        """
        self.check_method(PARTS)
        self._check_images(images)
        found: list[list[ExplanationMap]] = []
        for first in range(0, len(images), LARGEST_BATCH):
            found += self._parts(np.ascontiguousarray(images[first : first + LARGEST_BATCH], dtype=np.float32))
        return found

    def check_method(self, name: str) -> str:
        """Return a method's name if this network can be explained by it; `ModelError` names those that can."""
        if name not in METHODS:
            raise ModelError(f"No method '{name}'.{did_you_mean(name, METHODS)} Methods: {', '.join(METHODS)}.")
        if name not in self.methods:
            raise ModelError(
                f"'{name}' needs the network itself, and {self.source} is an .onnx file, which has neither "
                f"gradients nor parts. Methods that remain: {', '.join(self.methods)}; or name the run's folder."
            )
        return name

    def check_layer(self, name: str | None) -> str:
        """Return a layer's name, the last where None; `ModelError` names those that this network has."""
        if name is not None and name not in self.layers:
            raise ModelError(f"No layer '{name}'.{did_you_mean(name, self.layers)} Layers: {', '.join(self.layers)}.")
        return self.layers[-1] if name is None else name

    def label_number(self, name: str) -> int:
        """Return a class's position by its name; `ModelError` names the classes."""
        if name not in self.labels:
            raise ModelError(f"No label '{name}'.{did_you_mean(name, self.labels)} Labels: {', '.join(self.labels)}.")
        return self.labels.index(name)

    def _explain(
        self, images: Images, method: str, layer: str | None, labels: NDArray[np.int64]
    ) -> list[ExplanationMap]:
        """Make the maps of one batch; method and layer go together here, and no layer is left for occlusion."""
        maps = occlude(self.predict, images, labels)
        return [
            ExplanationMap(method, "", self.labels[label], values, is_signed=True)
            for label, values in zip(labels, maps, strict=True)
        ]

    def _parts(self, images: Images) -> list[list[ExplanationMap]]:
        raise NotImplementedError

    def _check_images(self, images: Images) -> None:
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise ModelError(f"Images are {images.shape}; this network takes (n, {self.channels}, height, width).")

    def _chosen(self, images: Images, labels: Sequence[int] | None) -> NDArray[np.int64]:
        if labels is None:
            starts = range(0, len(images), LARGEST_BATCH)
            best = [self.predict(images[first : first + LARGEST_BATCH]).argmax(axis=1) for first in starts]
            return np.concatenate([np.zeros(0, dtype=np.int64), *best])
        chosen = np.asarray(labels, dtype=np.int64)
        if chosen.shape != (len(images),) or (chosen < 0).any() or (chosen >= len(self.labels)).any():
            raise ModelError(
                f"Labels {list(labels)} came with {len(images)} images; expected one each, from 0 to "
                f"{len(self.labels) - 1}."
            )
        return chosen


def load_explainer(model: str | Path, threads: int = 1) -> Explainer:
    """Load a network to explain.

    Args:
        model: A run folder of `mien train`, for all methods; or a model's name or .onnx file, for occlusion.
        threads: CPU threads, at least 1.

    Raises:
        MienError: No such model, or a folder without a finished run.
    """
    if needs_torch(model):
        from mien.explain.torch_explainer import load_run_explainer

        return load_run_explainer(Path(model), threads)
    loaded = OnnxModel.load(model, threads)
    return Explainer(loaded, loaded.source)


def needs_torch(model: str | Path) -> bool:
    """Tell whether a model is a run folder, whose network is torch's, and not an .onnx file or a model's name."""
    return Path(model).is_dir() and str(model) not in model_files()
