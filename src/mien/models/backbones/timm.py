"""Any network of the package timm (PyTorch Image Models) that gives feature maps, as a backbone with named stages.

timm is an optional extra; it is imported only when such a network is made.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError, did_you_mean
from mien.models.layers.folding import fold
from mien.models.layers.observed_folding import fold_observed
from mien.models.network import Network, NetworkSpec, Stage

# The modules that one stage runs, by their names in the body.
Segment = tuple[str, ...]


class TimmBackbone(Network):
    """A network of timm without its head, and a linear layer on the mean of its last feature map.

    Stages: `stage0`, `stage1` ..., the feature maps that timm's `features_only=True` offers, with its channels and
    strides; what timm's own classifier does between the last of them and its pooling is left out. A network that
    cannot be cut there, because more than one map crosses the cut or timm collects the maps itself (vision
    transformers, HRNet, Xception), runs as a whole: it has the last stage only, and weights that earlier maps need may
    lie idle. Weights start at random; `load_weights` accepts timm's files.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        model: timm's name of the network, `timm.list_models()`.
        image_size: Pixels of the side, for networks that are made for one size, such as transformers; 0: timm's own.
        dropout: Probability before the linear layer.

    Raises:
        ModelError: timm is not installed, or does not work.
        ValueError: timm has no such network, or none that gives square feature maps from these arguments.
    """

    def __init__(
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        model: str = "mobilenetv3_small_100",
        image_size: int = 0,
        dropout: float = 0.0,
    ) -> None:
        if image_size < 0:
            raise ValueError(f"image_size is {image_size}; it must be 0 or a side in pixels.")
        with torch.device("meta"):  # shapes are all that is needed to find the cuts
            draft = _create(model, in_channels, image_size)
            size = _input_size(draft)
            segments = _working_segments(draft, in_channels, size)
        info = draft.feature_info
        sizes = [(f"stage{i}", *pair) for i, pair in enumerate(zip(info.channels(), info.reduction(), strict=True))]
        stages = [Stage(*entry) for entry in (sizes if segments else sizes[-1:])]
        channels = stages[-1].channels
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=channels)
        self.segments = segments
        self.fixed_size = size if draft.default_cfg.get("fixed_input_size") else None
        self.use_channels_last = _format(draft) == "NHWC"
        self.body = _create(model, in_channels, image_size)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last stage's feature map; a network that is made for one size takes no other."""
        if self.fixed_size and images.shape[-2:] != self.fixed_size and not torch.onnx.is_in_onnx_export():
            raise ModelError(
                f"The network got images of {images.shape[-2]} x {images.shape[-1]} pixels; it is made for "
                f"{self.fixed_size[0]} x {self.fixed_size[1]}: set its option image_size, or the input."
            )
        return super().maps(images)

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output."""
        if not self.segments:
            whole: Tensor = self.body(maps)[-1]
            return whole
        index = self.stage_names.index(name)
        if self.use_channels_last and index:
            maps = maps.permute(0, 2, 3, 1)
        maps = _run(self.body, self.segments[index], maps)
        return maps.permute(0, 3, 1, 2) if self.use_channels_last else maps

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of features (N, D)."""
        logits: Tensor = self.fc(self.dropout(features))
        return logits

    def folded(self) -> Self:
        """Return a deployed copy in evaluation mode; batch norms that do not follow a convolution stay."""
        network = copy.deepcopy(self).eval().requires_grad_(requires_grad=False)
        network.modulators = fold(self.modulators)
        side = max(self.smallest_input, 64)
        device = self.fc.weight.device
        fold_observed(network, torch.zeros(1, self.in_channels, *(self.fixed_size or (side, side)), device=device))
        return network

    def name_in_network(self, name: str, own: Container[str]) -> str | None:
        """Return this network's name, one of `own`, of a tensor that timm's files call `name`; None if it has none."""
        # timm's wrappers join the first two parts of some names, and put whole networks one level down
        spellings = (f"body.{name}", f"body.{name.replace('.', '_', 1)}", f"body.model.{name}", f"body.body.{name}")
        return next((spelling for spelling in spellings if spelling in own), None)


def _imported() -> Any:
    """Return the package."""
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise ModelError(f"timm cannot be imported ({error}); install what it misses.") from None
        raise ModelError("timm is not installed: pip install 'mien[timm]'") from None
    except Exception as error:  # torchvision, which it imports, fails in many ways where it does not fit torch
        raise ModelError(f"timm cannot be imported ({type(error).__name__}: {error}); reinstall it.") from None


def _create(model: str, in_channels: int, image_size: int) -> Any:
    """Return timm's network in its wrapper that gives feature maps; nothing is downloaded."""
    timm = _imported()
    if ":" in model or not timm.is_model(model):  # with a colon, timm would look on a server or in a folder
        raise ValueError(f"model is '{model}', which timm does not have.{did_you_mean(model, timm.list_models())}")
    options = {"img_size": image_size} if image_size else {}
    try:
        return timm.create_model(model, pretrained=False, features_only=True, in_chans=in_channels, **options)
    except Exception as error:  # each network refuses what it cannot do in its own way
        raise ValueError(
            f"timm cannot make '{model}' with feature maps, {in_channels} channels and image_size {image_size} "
            f"({type(error).__name__}: {error})."
        ) from None


def _input_size(body: Any) -> tuple[int, int]:
    """Return the height and width that timm states for a network."""
    _, height, width = body.default_cfg["input_size"]
    return int(height), int(width)


def _format(body: Any) -> str:
    """Return the order of the maps' dimensions: "NCHW", "NHWC" ..."""
    return str(getattr(body, "output_fmt", "NCHW")).removeprefix("Format.")


def _working_segments(body: Any, in_channels: int, size: tuple[int, int]) -> tuple[Segment, ...]:
    """Return the stages' segments if running them one after the other gives timm's own maps' shapes, else none.

    Args:
        body: timm's wrapper, on the meta device.
        in_channels: Channels of the images.
        size: Height and width to try.

    Raises:
        ValueError: The network does not run, or gives no feature maps (N, C, H, W).
    """
    body = body.eval()
    images = torch.zeros(1, in_channels, *size, device="meta")
    try:
        wanted = [tuple(maps.shape) for maps in body(images)]
    except Exception as error:
        raise ValueError(f"timm's network does not run ({type(error).__name__}: {error}).") from None
    channel = 3 if _format(body) == "NHWC" else 1
    if any(len(shape) != 4 for shape in wanted) or wanted[-1][channel] != body.feature_info.channels()[-1]:
        raise ValueError(f"timm's network gives no feature maps, but shapes {wanted}.")
    segments = _segments(body)
    given: Any = images
    shapes = []
    for segment in segments:
        try:
            given = _run(body, segment, given)
        except Exception:  # such as a tuple of maps where one was expected: then it runs as a whole
            return ()
        shapes.append(tuple(given.shape) if isinstance(given, Tensor) else ())
    return segments if shapes == wanted else ()


def _segments(body: Any) -> tuple[Segment, ...]:
    """Return what each stage runs, for the wrappers of timm that run one module after the other; else nothing."""
    if hasattr(body, "return_layers"):  # FeatureListNet
        return _cut([name for name, _ in body.named_children()], list(body.return_layers))
    if hasattr(body, "conv_stem") and getattr(body, "feature_hooks", body) is None:  # EfficientNet, MobileNetV3
        order = [name for name in ("conv_stem", "bn1", "act1") if hasattr(body, name)]
        blocks = [f"blocks.{name}" for name, _ in body.blocks.named_children()]
        ends = [name if name in blocks else order[-1] for name in body.feature_info.module_name()]
        return _cut([*order, *blocks], ends)
    return ()


def _cut(order: Sequence[str], ends: Sequence[str]) -> tuple[Segment, ...]:
    """Return the names in order, cut behind each of `ends`; what follows the last is left out."""
    bounds = [0, *(order.index(end) + 1 for end in ends)]
    return tuple(tuple(order[first:last]) for first, last in pairwise(bounds))


def _run(body: nn.Module, segment: Segment, maps: Tensor) -> Tensor:
    """Return what the modules of a segment make of a map, one after the other."""
    for name in segment:
        maps = body.get_submodule(name)(maps)
    return maps


NETWORKS = (
    NetworkSpec(
        name="timm",
        build=TimmBackbone,
        paper="Wightman 2019, PyTorch Image Models",
        summary="Any network of the package timm by its option model, where timm is installed.",
        input=(1, 224, 224),
        requires="timm",
    ),
)
