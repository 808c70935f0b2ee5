"""The base class of every network: named stages with optional modulators, pooled features, and one linear layer."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
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
    """A place in a backbone where a modulator can be inserted.

    Attributes:
        name: "stem", "stage1" ...
        channels: Channels of the stage's output.
        stride: Distance between neighbouring output positions, in pixels of the image.
        parts: Channels of the maps that a dense stage concatenates, in order: its input, then the output of each layer.
            Empty for stages that concatenate nothing.
        first: Centre of the first position's receptive field, in pixels from the image's top left corner. With odd
            kernels padded by half their size this is the middle of the first pixel, whatever the stride.
    """

    name: str
    channels: int
    stride: int
    parts: tuple[int, ...] = ()
    first: float = 0.5


class Outputs(NamedTuple):
    """A network's outputs, as losses take them.

    Attributes:
        logits: (N, K).
        features: (N, D), the input of the last linear layer, before its dropout.
        attention: (N, heads, H, W) in (0, 1), the maps of the attention heads; None for a network without heads.
    """

    logits: Tensor
    features: Tensor
    attention: Tensor | None = None


class Network(nn.Module):
    """A backbone of named stages, with an optional modulator after each, and a linear classifier.

    A subclass passes its stages to the constructor. It has a submodule with the name of each stage, `dropout` and `fc`,
    or it overrides `run_stage` and `classify`. It may override `pool`. Modulators are inserted afterwards. The state
    dict has them under `modulators.<stage>`, so the names of the backbone's weights do not depend on them.

    Args:
        stages: The stages in the order they run.
        in_channels: Channels of the images.
        num_classes: Number of logits K.
        feature_size: Number of features D.
    """

    classifier_name: ClassVar[str] = "fc"
    """Name of the last linear layer in the state dict; weights for another number of classes leave it as it is."""

    added_names: ClassVar[tuple[str, ...]] = ()
    """Names of the modules that a paper adds to its backbone; weights files of the plain backbone lack them."""

    dropout: nn.Module
    fc: nn.Module

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
        """Return the stage of that name; `ModelError` lists the names."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise ModelError(
            f"No stage '{name}'.{did_you_mean(name, self.stage_names)} Stages: {', '.join(self.stage_names)}."
        )

    def insert_modulator(self, stage_name: str, modulator: nn.Module) -> None:
        """Insert a modulator, (N, C, H, W) -> (N, C, H, W), after a stage, in place of the present one.

        Its attribute `smallest_map` (1 if absent) may raise the network's smallest input.
        """
        stage = self.stage(stage_name)
        self.modulators[stage_name] = modulator
        smallest_map: int = getattr(modulator, "smallest_map", 1)
        self.smallest_input = max(self.smallest_input, smallest_map * stage.stride)

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output, (N, C, H, W), without its modulator; by default, run the submodule `name`."""
        output: Tensor = self.get_submodule(name)(maps)
        return output

    def maps(self, images: Tensor) -> Tensor:
        """Return the last stage's feature map (N, C, H / stride, W / stride), sizes rounded up."""
        self._check(images)
        maps = images
        for name in self.stage_names:
            maps = self.run_stage(name, maps)
            if name in self.modulators:
                maps = self.modulators[name](maps)
            observe(self, name, maps)
        return maps

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D) of the last map; by default, its mean over all positions."""
        return F.adaptive_avg_pool2d(maps, 1).flatten(1)

    def attend(self, maps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features (N, D) of the last map, and the maps of attention heads; by default `pool` and None."""
        return self.pool(maps), None

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of features (N, D); by default, run `dropout` and `fc`."""
        logits: Tensor = self.fc(self.dropout(features))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, D), the input of the last linear layer before its dropout."""
        return self.attend(self.maps(images))[0]

    def outputs(self, images: Tensor) -> Outputs:
        """Return logits, features and, for a network with attention heads, their maps, from one pass."""
        features, attention = self.attend(self.maps(images))
        return Outputs(self.classify(features), features, attention)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of images (N, in_channels, H, W).

        Raises:
            ModelError: The images have the wrong number of channels or are smaller than `smallest_input`.
        """
        return self.classify(self.features(images))

    def folded(self) -> Self:
        """Return a copy in evaluation mode that computes the same with RepConv layers and batch norms folded."""
        return fold(self, next(self.parameters()).new_zeros(1, self.in_channels, *self.example_size()))

    def example_size(self) -> tuple[int, int]:
        """Return the height and width of a small image that the network accepts."""
        return self.smallest_input, self.smallest_input

    def library_name(self, name: str, own: Container[str]) -> str | None:
        """Translate a tensor's name in weights files of the network's library to one of `own`; None if unknown."""
        del name, own
        return None

    def _check(self, images: Tensor) -> None:
        if torch.onnx.is_in_onnx_export():  # sizes are symbolic there; the exporter has run the network once already
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
        build: Makes the network; takes the keywords `num_classes` and `in_channels`, and options of simple types, all
            with defaults.
        paper: The source: authors, year, title.
        summary: One sentence for `mien models`.
        input: (channels, height, width) for which `mien models` states parameters and multiply-accumulates.
        modulators: The network's own modulators by stage, each a name or {"name": ..., option: value}. Recipes
            replace them, or remove one by "none".
        requires: An optional package that the network needs; without it the network is not listed.
    """

    name: str
    build: Callable[..., Network]
    paper: str
    summary: str
    input: tuple[int, int, int]
    modulators: Mapping[str, Mapping[str, object] | str] = field(default_factory=dict)
    requires: str = ""
