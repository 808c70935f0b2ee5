"""What every network is: named stages with optional modulators, pooled features, and one linear layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.core.errors import ModelError, did_you_mean
from mien.models.layers.folding import fold
from mien.models.layers.observing import observe


@dataclass(frozen=True)
class Stage:
    """A place in a backbone: its output has `channels` channels, on a grid `stride` times coarser.

    `parts` are the channels of the maps that a dense stage concatenates, in their order: its input and the
    output of each of its layers. Empty: the map is one whole.

    `first` is the middle of what the map's first position sees, in pixels of the image from its upper left edge. Odd
    kernels that are padded by half of themselves, whatever their stride, leave it in the middle of the first pixel.
    """

    name: str
    channels: int
    stride: int
    parts: tuple[int, ...] = ()
    first: float = 0.5


class Outputs(NamedTuple):
    """What a network gives to a loss.

    Attributes:
        logits: (N, K).
        features: (N, D), what the last linear layer sees, before its dropout.
        attention: (N, heads, H, W) in (0, 1), the maps of a network with attention heads; None without.
    """

    logits: Tensor
    features: Tensor
    attention: Tensor | None = None


class Network(nn.Module):
    """A backbone of named stages with optional modulators after them, and a classifier.

    A subclass passes its stages, computes each in `run_stage`, and defines the last layer in `classify`; it
    may replace `pool`. Modulators are inserted afterwards and appear in the state dict under
    `modulators.<stage>`, so a backbone's own names do not depend on them.

    Args:
        stages: The stages in the order they run.
        in_channels: Channels of the images.
        num_classes: Number of logits K.
        feature_size: Number of features D.
    """

    classifier_name: ClassVar[str] = "fc"
    """The last linear layer in the state dict; weights for another number of classes leave it as it is."""

    added_names: ClassVar[tuple[str, ...]] = ()
    """Parts that a paper adds to its backbone: weight files of the plain backbone do not have them."""

    def __init__(self, stages: Sequence[Stage], *, in_channels: int, num_classes: int, feature_size: int) -> None:
        super().__init__()
        if in_channels < 1 or num_classes < 1:
            raise ModelError(
                f"A network has {in_channels} input channels and {num_classes} classes; it needs at least 1 of each."
            )
        self.stages = tuple(stages)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_size = feature_size
        self.smallest_input = max(stage.stride for stage in stages)
        self.modulators = nn.ModuleDict()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names of the stages, in the order they run."""
        return tuple(stage.name for stage in self.stages)

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; `ModelError` names the valid ones."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise ModelError(
            f"No stage '{name}'.{did_you_mean(name, self.stage_names)} Stages: {', '.join(self.stage_names)}."
        )

    def insert_modulator(self, stage_name: str, modulator: nn.Module) -> None:
        """Put a modulator, (N, C, H, W) -> (N, C, H, W), after a stage; it replaces the one that is there.

        A modulator's attribute `smallest_map` (1 when absent) raises the network's smallest input
        accordingly.
        """
        stage = self.stage(stage_name)
        self.modulators[stage_name] = modulator
        smallest_map: int = getattr(modulator, "smallest_map", 1)
        self.smallest_input = max(self.smallest_input, smallest_map * stage.stride)

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output, (N, C, H, W), without its modulator."""
        raise NotImplementedError

    def maps(self, images: Tensor) -> Tensor:
        """Return the last stage's feature map (N, C, H / stride, W / stride), rounded up."""
        self._check(images)
        maps = images
        for name in self.stage_names:
            maps = self.run_stage(name, maps)
            if name in self.modulators:
                maps = self.modulators[name](maps)
            observe(self, name, maps)
        return maps

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D) of the last map: its mean over all positions."""
        return F.adaptive_avg_pool2d(maps, 1).flatten(1)

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of features (N, D)."""
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, D) that the last linear layer sees, before its dropout."""
        return self.pool(self.maps(images))

    def outputs(self, images: Tensor) -> Outputs:
        """Return logits, features and, where there are attention heads, their maps, from one pass."""
        features = self.features(images)
        return Outputs(self.classify(features), features)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of images (N, in_channels, H, W).

        Raises:
            ModelError: The images have another number of channels or are smaller than `smallest_input`.
        """
        return self.classify(self.features(images))

    def folded(self) -> Self:
        """Return a deployed copy in evaluation mode: RepConv and batch norms folded, the same function."""
        return fold(self)

    def _check(self, images: Tensor) -> None:
        if torch.onnx.is_in_onnx_export():  # sizes are symbols there; the exporter has run the network before
            return
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ModelError(
                f"The network got images of shape {tuple(images.shape)}; "
                f"it takes (N, {self.in_channels}, height, width)."
            )
        if min(images.shape[-2:]) < self.smallest_input:
            raise ModelError(
                f"The network got images of {images.shape[-2]} x {images.shape[-1]} pixels; "
                f"the smallest input is {self.smallest_input} x {self.smallest_input}."
            )


@dataclass(frozen=True)
class NetworkSpec:
    """An entry of a file's `NETWORKS` table: how a network is listed and made.

    Attributes:
        name: What recipes and the command line call it.
        build: Takes `num_classes` and `in_channels` by keyword, and options with defaults and simple types.
        paper: The source: authors, year, title.
        summary: One sentence for `mien models`.
        input: (channels, height, width) for which the catalogue states parameters and multiply-accumulates.
        modulators: The network's own modulators by stage, each a name or {"name": ..., option: value}. Recipes
            replace them, or remove one by "none".
        requires: A package that mien itself does not require; where it is missing, the network is not listed.
    """

    name: str
    build: Callable[..., Network]
    paper: str
    summary: str
    input: tuple[int, int, int]
    modulators: Mapping[str, Mapping[str, object] | str] = field(default_factory=dict)
    requires: str = ""
