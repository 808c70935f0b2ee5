"""How a network is laid out in memory and compiled for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mien.models.network import Network, Outputs
from mien.training.processes import note


def choose_memory_format(network: nn.Module) -> torch.memory_format:
    """Return channels-last, or the contiguous order for a network that cannot train in it.

    oneDNN and cuDNN would otherwise reorder every map, many times slower in 16 bits.
    """
    return torch.contiguous_format if _breaks_channels_last(network) else torch.channels_last


def compile_outputs(network: Network) -> Callable[[Tensor], Outputs]:
    """Return a network's `outputs`, compiled by torch at the first step; a note says that this takes a while."""
    note("compiling the network: the first step takes up to two minutes; training.use_compile=false starts at once")
    if torch.cuda.is_available():
        # CUDA graphs, because a small network's kernels take less time than their launches by the CPU
        return torch.compile(network.outputs, mode="reduce-overhead")
    # by default the compiler chooses channels-last
    options: dict[str, Any] = {"layout_optimization": not _breaks_channels_last(network)}
    return torch.compile(network.outputs, options=options)


def _breaks_channels_last(network: nn.Module) -> bool:
    """Return whether training in channels-last would crash: oneDNN (torch 2.13) writes past its buffers.

    It happens in the gradient of 1 x 1 convolutions with a stride and fewer than 16 input channels, on two threads.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride != (1, 1)
        and layer.in_channels < 16
        for layer in network.modules()
    )
