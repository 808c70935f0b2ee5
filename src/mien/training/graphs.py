"""CUDA graphs: the kernels of a network's pass are recorded once, and launched together at every step.

A small network is done with a kernel before the processor has launched the next one, so a step takes as long as its
hundreds of launches, however fast the accelerator is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from mien.models.network import Network, Outputs

M = TypeVar("M", bound=nn.Module)


def record_outputs(network: Network, images: Tensor) -> Callable[[Tensor], Outputs]:
    """Record forward and backward pass of a network in training mode; what is returned takes the place of `outputs`.

    Weights and buffers must stay where they are in memory. The running statistics are those of before.

    Args:
        network: On the device, in training mode.
        images: Like those of every step, (N, C, H, W): same shape, type, layout and device.

    Returns:
        A function from images to what `network.outputs` gives. It is `network.outputs` itself, with a line on stderr,
        where the network does what a recording cannot repeat, such as to ask the device for a value.
    """
    passes = _Pass(network)
    recorded = _recorded(passes, images)
    if recorded is None:
        return network.outputs
    return lambda now: Outputs(*cast(Callable[[Tensor], tuple[Tensor, ...]], recorded)(now))


def record_logits(network: Network, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Record the forward pass of a network in evaluation mode, whose weights ask for no gradient; else as above."""
    with torch.no_grad():
        return _recorded(network, images) or network


class _Pass(nn.Module):
    """`Network.outputs` as a module that returns tensors only, which is what can be recorded."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits, features and, where there are any, attention maps."""
        return tuple(output for output in self.network.outputs(images) if output is not None)


def _recorded(module: M, images: Tensor) -> M | None:
    """Return the module with its `forward` recorded; None, and a line about it, where that is not possible."""
    try:
        with _same_buffers(module):
            return cast(M, torch.cuda.make_graphed_callables(module, (images,)))
    except Exception as error:  # whatever a driver says no to; training goes on as it would have
        reason = " ".join(str(error).split())[:200]
        print(
            f"note: training goes on without CUDA graphs, slower ({type(error).__name__}: {reason}).", file=sys.stderr
        )
        return None


@contextmanager
def _same_buffers(module: nn.Module) -> Iterator[None]:
    """Undo what the passes before a recording did to running statistics, in place."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
