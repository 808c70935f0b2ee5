"""A torch network that can be asked for explanations: by its gradients, its parts and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import ModelError
from mien.explain.gradients import integrate_gradients, stage_maps
from mien.explain.maps import ExplanationMap, Pair
from mien.explain.methods import METHODS, PARTS, STAGE_METHODS, Explainer, Images
from mien.explain.parts import Observed, choose_part, part_maps
from mien.inference.model import Scores, check_outputs, to_scores
from mien.models.layers.observing import observing
from mien.models.network import Network


class TorchModel:
    """A torch network in the place of an .onnx file: the same card, scores, temperature and rejection.

    Args:
        network: Put into eval mode; it answers for images of any size that it takes.
        card: What it is.
        source: What to call it in errors.
    """

    def __init__(self, network: Network, card: ModelCard, source: str) -> None:
        self.network = network.eval()
        self.card = card
        check_outputs(self._run, card, source)

    def predict(self, images: NDArray[np.float32]) -> Scores:
        """Score faces in one forward pass."""
        return to_scores(self._run, images, self.card)

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            logits: NDArray[np.float32] = self.network(torch.from_numpy(images).to(device)).float().cpu().numpy()
        return logits


class TorchExplainer(Explainer):
    """A torch network and its card, asked where in a face it sees an expression."""

    methods: ClassVar[tuple[str, ...]] = METHODS

    def __init__(self, network: Network, card: ModelCard, source: str = "the network") -> None:
        super().__init__(TorchModel(network, card, source), source)
        self.network = network

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's stages."""
        return self.network.stage_names

    def _explain(
        self, images: Images, method: str, layer: str | None, labels: NDArray[np.int64]
    ) -> list[ExplanationMap]:
        if method == PARTS:
            return [choose_part(maps, layer) for maps in self._parts(images)]
        if method not in (*STAGE_METHODS, "integrated_gradients"):
            return super()._explain(images, method, layer, labels)
        device = next(self.network.parameters()).device
        pixels, targets = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
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
        device = next(self.network.parameters()).device
        with torch.inference_mode(), observing(self.network) as seen:
            self.network(torch.from_numpy(images).to(device))
        tensors = {key: tensor.float().cpu().numpy() for key, tensor in seen.items() if key[0] or tensor.ndim == 4}
        sizes = {stage: (values.shape[-2], values.shape[-1]) for (path, stage), values in tensors.items() if not path}
        observed = [
            Observed(*self._named(path, part), tensor=values, size=sizes[self._named(path, part)[1]])
            for (path, part), values in tensors.items()
            if path
        ]
        if not observed:
            raise ModelError(
                f"{self.source} ({self.card.network}) has no parts with maps of their own: no modulator and no "
                f"attention. Methods that remain: {', '.join(name for name in self.methods if name != PARTS)}."
            )
        return part_maps(observed, self._grids(images))

    def _named(self, path: str, part: str) -> tuple[str, str]:
        """Return a part's name for people and the stage that it works on, by its module's path."""
        words = path.split(".")
        if words[0] != "modulators":
            return "/".join((*words, part)), self.layers[-1]
        modulator = type(self.network.modulators[words[1]]).__module__.rpartition(".")[2]
        return f"{words[1]}/{modulator}/{part}", words[1]

    def _grids(self, images: Images) -> Mapping[str, tuple[Pair, Pair]]:
        """Return the step and the first middle of each stage's positions, in parts of the images' sides."""
        height, width = images.shape[-2:]
        return {
            stage.name: ((stage.stride / height, stage.stride / width), (stage.first / height, stage.first / width))
            for stage in self.network.stages
        }


def load_run_explainer(folder: Path, threads: int = 1) -> TorchExplainer:
    """Load the selected weights of a run folder.

    Args:
        folder: What `mien train` wrote.
        threads: CPU threads of torch, in this whole process.

    Raises:
        MienError: The folder holds no run, or none that finished an epoch.
    """
    from mien.training.run import load_run, run_card

    torch.set_num_threads(threads)
    run = load_run(folder)
    return TorchExplainer(run.network, run_card(run), str(folder))
