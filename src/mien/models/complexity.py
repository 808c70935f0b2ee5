"""The size and cost of a network.

Convention: MACs are multiply-accumulates of convolutions and linear layers for one image. Biases, norms, activations,
pooling, products of two maps and transforms are not counted. 1 MAC = 2 FLOPs.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


def count_parameters(module: nn.Module) -> int:
    """Return the number of values in all parameters, shared ones once; running statistics do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(network: nn.Module, input_size: int | tuple[int, int], channels: int) -> int:
    """Return the multiply-accumulates of one image in evaluation.

    Args:
        network: Counted as it is; pass a folded one for the deployed cost.
        input_size: Pixels of the square input, or (height, width).
        channels: Channels of the image.

    Raises:
        ModelError: The input does not fit the network.
    """
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    # Shapes suffice: on the meta device nothing is computed.
    shadow = copy.deepcopy(network).to("meta").eval()
    counts: list[int] = []

    def count(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(module, nn.Conv2d):
            counts.append(output.numel() * module.weight[0].numel())
        elif isinstance(module, nn.Linear):
            counts.append(output.numel() * module.in_features)

    for module in shadow.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        shadow(torch.zeros(1, channels, height, width, device="meta"))
    return sum(counts)
