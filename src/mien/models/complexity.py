"""The size and cost of a network.

Convention: MACs are multiply-accumulates of convolutions and linear layers for one image; biases, norms,
activations, pooling, products of two maps and transforms are not counted unless they are asked for. 1 MAC = 2 FLOPs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.models.network import Network

Kind = Literal["convolution", "linear", "norm", "product"]
MATRIX_PRODUCTS = (torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__)


def count_parameters(module: nn.Module) -> int:
    """Return the number of values in all parameters, shared ones once; running statistics do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(
    network: Network,
    input_size: int | tuple[int, int],
    channels: int,
    *,
    kinds: Collection[Kind] = ("convolution", "linear"),
) -> int:
    """Return the multiply-accumulates of one image in evaluation.

    Args:
        network: Counted as it is; pass `network.folded()` for the deployed cost.
        input_size: Pixels of the square input, or (height, width).
        channels: Channels of the image.
        kinds: What is counted. "norm": 2 for each value of a batch norm's map and 2 more where it has scale and shift,
            as profilers do. "product": matrix products in which both sides belong to the image, such as queries
            with keys; a constant matrix on one side makes a transform, which is none.

    Raises:
        ModelError: The input does not fit the network.
    """
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    # Shapes are all that is needed: on the meta device nothing is computed.
    shadow = copy.deepcopy(network).to("meta").eval()
    counts: list[int] = []

    def count(module: nn.Module, _: Any, output: Any) -> None:
        kind, macs = _macs_of(module, output)
        if kind in kinds:
            counts.append(macs)

    for module in shadow.modules():
        module.register_forward_hook(count)
    products = _Products()
    with torch.no_grad(), products:
        shadow(torch.zeros(1, channels, height, width, device="meta"))
    return sum(counts) + ("product" in kinds) * products.macs


def yolo_gflops(network: Network, channels: int, *, input_size: int = 640) -> float:
    """Return the giga floating-point operations that YOLO's own summary prints for a network.

    Its convention: convolutions, linear layers and unfused batch norms at an input of 32 x 32 pixels, 2 for each
    multiply-accumulate, scaled up by the area. So layers after a pooling, whose cost does not grow with the image, are
    counted 400 times at 640 pixels, and products of two maps not at all.

    Args:
        network: As it is trained; the tables of YOLOv8 give the folded one.
        channels: Channels of the image.
        input_size: Pixels of the square input that the figure is for.
    """
    macs = count_macs(network, 32, channels, kinds=("convolution", "linear", "norm"))
    return 2e-9 * macs * (input_size / 32) ** 2


def _macs_of(module: nn.Module, output: Any) -> tuple[Kind | None, int]:
    if isinstance(module, nn.Conv2d):
        return "convolution", output.numel() * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return "linear", output.numel() * module.in_features
    if isinstance(module, nn.BatchNorm2d):
        return "norm", output.numel() * (4 if module.affine else 2)
    return None, 0


class _Products(TorchFunctionMode):
    """Adds up the matrix products whose sides both have a batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in MATRIX_PRODUCTS and min(args[0].ndim, args[1].ndim) >= 3:
            self.macs += output.numel() * args[0].shape[-1]
        return output
