"""Explain a torch network by its gradients, its parts and its output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.core.card import ModelCard
from mien.core.errors import ModelError
from mien.explain.gradients import integrate_gradients, stage_maps
from mien.explain.maps import ExplanationMap, Images, Labels, Pair
from mien.explain.methods import METHODS, PARTS, STAGE_METHODS, Explainer, check_name
from mien.explain.parts import part_maps
from mien.inference.model import Scores, check_outputs, to_scores
from mien.models.layers.observing import observing
from mien.models.network import Network


class TorchModel:
    """A torch network as a `Model`; it also takes images of other sizes than its card's.

    Args:
        network: Put into eval mode.
        card: Its card.
        source: Its name in errors.
    """

    def __init__(self, network: Network, card: ModelCard, source: str) -> None:
        self.network = network.eval()
        self.card = card
        check_outputs(self._run, card, source)

    def predict(self, images: NDArray[np.float32]) -> Scores:
        """Score faces in one forward pass; see `Model.predict`."""
        return to_scores(self._run, images, self.card)

    def to_tensor(self, array: NDArray[np.generic]) -> Tensor:
        """Return an array as a tensor on the network's device."""
        return torch.from_numpy(array).to(next(self.network.parameters()).device)

    @torch.inference_mode()
    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.network(self.to_tensor(images)).float().cpu().numpy()
        return logits


class TorchExplainer(Explainer):
    """Explains a torch network by all methods."""

    methods: ClassVar[tuple[str, ...]] = METHODS
    model: TorchModel
    network: Network

    def __init__(self, network: Network, card: ModelCard, source: str = "the network") -> None:
        super().__init__(TorchModel(network, card, source), source)
        self.network = network

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's stages."""
        return self.network.stage_names

    @torch.inference_mode()
    def compute_features(self, images: Images) -> NDArray[np.float32]:
        """Return the input (n, d) of the last layer for normalized images (n, c, h, w)."""
        batches = [
            self.network.outputs(self.model.to_tensor(batch)).features.float().cpu().numpy()
            for _, batch in self._batches(images)
        ]
        return np.concatenate(batches)

    def _explain(self, images: Images, method: str, layer: str | None, labels: Labels) -> list[ExplanationMap]:
        if method == PARTS:
            faces = self._parts(images)
            names = [one.method for one in faces[0]]
            if layer is None and len(names) > 1:
                raise ModelError(f"Several parts have maps; name one. Parts: {', '.join(names)}.")
            number = 0 if layer is None else names.index(check_name("part", layer, names))
            return [maps[number] for maps in faces]
        if method not in (*STAGE_METHODS, "integrated_gradients"):
            return super()._explain(images, method, layer, labels)
        pixels, targets = self.model.to_tensor(images), self.model.to_tensor(labels)
        if method == "integrated_gradients":
            values = integrate_gradients(self.network, pixels, targets)
            stage, is_signed, step, first = "", True, None, None
        else:
            stage = self.check_layer(layer)
            values = stage_maps(self.network, pixels, targets, stage, method)
            is_signed = False
            step, first = self._grids(images)[stage]
        return [
            ExplanationMap(method, stage, self.labels[label], own, is_signed, step=step, first=first)
            for label, own in zip(labels, values.cpu().numpy(), strict=True)
        ]

    def _parts(self, images: Images) -> list[list[ExplanationMap]]:
        with torch.inference_mode(), observing(self.network) as seen:
            self.network(self.model.to_tensor(images))
        tensors = {key: tensor.float().cpu().numpy() for key, tensor in seen.items() if key[0] or tensor.ndim == 4}
        sizes = {stage: values.shape[-2:] for (path, stage), values in tensors.items() if not path}
        outputs = {}
        for (path, part), values in tensors.items():
            if path:
                name, stage = self._describe_part(path, part)
                outputs[name] = stage, values
        if not outputs:
            raise ModelError(
                f"{self.source} ({self.card.network}) has no parts with maps of their own: no modulator and no "
                f"attention. Available methods: {', '.join(name for name in self.methods if name != PARTS)}."
            )
        return part_maps(outputs, sizes, self._grids(images))

    def _describe_part(self, path: str, part: str) -> tuple[str, str]:
        """Return a part's readable name and the stage it works on, from the path of its module."""
        words = path.split(".")
        if words[0] != "modulators":
            return "/".join((*words, part)), self.layers[-1]
        modulator = type(self.network.modulators[words[1]]).__module__.rpartition(".")[2]
        return f"{words[1]}/{modulator}/{part}", words[1]

    def _grids(self, images: Images) -> Mapping[str, tuple[Pair, Pair]]:
        """Return `step` and `first` of each stage's map, as in `ExplanationMap`."""
        height, width = images.shape[-2:]
        return {
            stage.name: ((stage.stride / height, stage.stride / width), (stage.first / height, stage.first / width))
            for stage in self.network.stages
        }


def load_run_explainer(folder: Path, threads: int = 1) -> TorchExplainer:
    """Load the selected weights of a run folder; `threads` are those of torch, in this process.

    Raises:
        MienError: The folder holds no finished run.
    """
    from mien.training.run import load_run, run_card

    torch.set_num_threads(threads)
    run = load_run(folder)
    return TorchExplainer(run.network, run_card(run), str(folder))
