"""Any network of the package timm (PyTorch Image Models) that gives feature maps, as a backbone with named stages.

timm is an optional extra; it is imported only when such a network is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError, did_you_mean, install_command
from mien.models.network import Network, NetworkSpec, Stage

# The names of the modules in timm's network that one stage runs.
Segment = tuple[str, ...]


class TimmBackbone(Network):
    """A network of timm without its head, and a linear layer on the mean of its last feature map.

    Stages: `stage0`, `stage1` ..., the feature maps of timm's `features_only=True`, with its channels and strides. What
    timm's own classifier does between the last of them and its pooling is left out. A network that cannot be split
    there runs as a whole and has the last stage only: one where several maps cross the boundary, or where timm collects
    the maps itself (vision transformers, HRNet, Xception). Weights that only earlier maps use are then idle. Weights
    are random at first; `load_weights` accepts timm's files.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        model: timm's name of the network, one of `timm.list_models()`.
        image_size: Pixels of the side, for networks made for one size, such as transformers; 0: timm's own.
        dropout: Probability before the linear layer.

    Raises:
        ModelError: timm is not installed or cannot be imported.
        ValueError: timm has no such network, or none that gives feature maps with these arguments.
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
        with torch.device("meta"):  # finding the segments needs shapes only
            draft = _create(model, in_channels, image_size)
            _, height, width = draft.default_cfg["input_size"]
            segments = _working_segments(draft, torch.zeros(1, in_channels, height, width))
        info = draft.feature_info
        sizes = [(f"stage{i}", *pair) for i, pair in enumerate(zip(info.channels(), info.reduction(), strict=True))]
        stages = [Stage(*entry) for entry in (sizes if segments else sizes[-1:])]
        channels = stages[-1].channels
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=channels)
        self.segments = segments
        self.fixed_size = (int(height), int(width)) if draft.default_cfg.get("fixed_input_size") else None
        self.is_channels_last = _is_channels_last(draft)
        self.body = _create(model, in_channels, image_size)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def maps(self, images: Tensor) -> Tensor:
        """Return the last stage's feature map; a network made for one size takes no other."""
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
        if self.is_channels_last and index:
            maps = maps.permute(0, 2, 3, 1)
        maps = _run(self.body, self.segments[index], maps)
        return maps.permute(0, 3, 1, 2) if self.is_channels_last else maps

    def example_size(self) -> tuple[int, int]:
        """Return the one size that the network accepts, or at least 64 x 64."""
        side = max(self.smallest_input, 64)
        return self.fixed_size or (side, side)

    def library_name(self, name: str, own: Container[str]) -> str | None:
        """Translate a tensor's name in timm's weights files to one of `own`; None if unknown."""
        # timm's wrappers join the first two parts of some names, or put the whole network one level down
        spellings = (f"body.{name}", f"body.{name.replace('.', '_', 1)}", f"body.model.{name}", f"body.body.{name}")
        return next((spelling for spelling in spellings if spelling in own), None)


def _import_timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise ModelError(f"timm cannot be imported ({error}); install what it lacks.") from None
        raise ModelError(f"timm is not installed: {install_command('timm')}") from None
    except Exception as error:  # timm imports torchvision, which fails in many ways if it does not fit torch
        raise ModelError(f"timm cannot be imported ({type(error).__name__}: {error}); reinstall it.") from None


def _create(model: str, in_channels: int, image_size: int) -> Any:
    """Return timm's network in the wrapper that gives feature maps; nothing is downloaded."""
    timm = _import_timm()
    if ":" in model or not timm.is_model(model):  # with a colon, timm would look on a server or in a folder
        raise ValueError(f"model is '{model}', which timm does not have.{did_you_mean(model, timm.list_models())}")
    options = {"img_size": image_size} if image_size else {}
    try:
        return timm.create_model(model, pretrained=False, features_only=True, in_chans=in_channels, **options)
    except Exception as error:  # each network rejects arguments in its own way
        raise ValueError(
            f"timm cannot make '{model}' with feature maps, {in_channels} channels and image_size {image_size} "
            f"({type(error).__name__}: {error})."
        ) from None


def _is_channels_last(body: Any) -> bool:
    """Return whether timm's network works on (N, H, W, C)."""
    return str(getattr(body, "output_fmt", "NCHW")).endswith("NHWC")


def _working_segments(body: Any, images: Tensor) -> tuple[Segment, ...]:
    """Return the stages' segments if running them one after the other gives the shapes of timm's own maps, else none.

    Args:
        body: timm's wrapper, on the meta device.
        images: (1, C, H, W) on the meta device.

    Raises:
        ValueError: The network does not run, or gives no feature maps (N, C, H, W).
    """
    body = body.eval()
    try:
        expected = [tuple(maps.shape) for maps in body(images)]
    except Exception as error:
        raise ValueError(f"timm's network does not run ({type(error).__name__}: {error}).") from None
    channel = 3 if _is_channels_last(body) else 1
    if any(len(shape) != 4 for shape in expected) or expected[-1][channel] != body.feature_info.channels()[-1]:
        raise ValueError(f"timm's network gives no feature maps, but shapes {expected}.")
    segments, maps, shapes = _segments(body), images, []
    try:
        for segment in segments:
            maps = _run(body, segment, maps)
            shapes.append(tuple(maps.shape))
    except Exception:  # a tuple of maps where one was expected, for example: then it runs as a whole
        return ()
    return segments if shapes == expected else ()


def _segments(body: Any) -> tuple[Segment, ...]:
    """Return what each stage runs, for those of timm's wrappers that run modules one after the other; else nothing."""
    if hasattr(body, "return_layers"):  # FeatureListNet
        return _cut([name for name, _ in body.named_children()], list(body.return_layers))
    if hasattr(body, "conv_stem") and getattr(body, "feature_hooks", body) is None:  # EfficientNet, MobileNetV3
        order = [name for name in ("conv_stem", "bn1", "act1") if hasattr(body, name)]
        blocks = [f"blocks.{name}" for name, _ in body.blocks.named_children()]
        ends = [name if name in blocks else order[-1] for name in body.feature_info.module_name()]
        return _cut([*order, *blocks], ends)
    return ()


def _cut(order: Sequence[str], ends: Sequence[str]) -> tuple[Segment, ...]:
    """Return the names in order, cut after each of `ends`, without those after the last."""
    bounds = [0, *(order.index(end) + 1 for end in ends)]
    return tuple(tuple(order[first:last]) for first, last in pairwise(bounds))


def _run(body: nn.Module, segment: Segment, maps: Tensor) -> Tensor:
    """Run the modules of a segment one after the other."""
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
