"""CUDA graphs: the kernels of a network's pass are recorded once and launched together at every step.

A small network finishes a kernel before the processor has launched the next one, so a step takes as long as its
hundreds of launches, however fast the accelerator is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from mien.models.network import Network, Outputs
from mien.training.processes import note

M = TypeVar("M", bound=nn.Module)


def record_outputs(network: Network, images: Tensor) -> Callable[[Tensor], Outputs]:
    """Record forward and backward pass of a network in training mode.

    Weights and buffers must stay where they are in memory. The running statistics do not change.

    Args:
        network: On the device, in training mode.
        images: Like those of every step, (N, C, H, W): same shape, type, layout and device.

    Returns:
        A function that returns what `network.outputs` does. It is `network.outputs` itself, with a note on stderr, if
        the network cannot be recorded, for example because it reads a value from the device.
    """
    passes = _Pass(network)
    recorded = _recorded(passes, images)
    if recorded is None:
        return network.outputs
    return lambda now: Outputs(*cast(Callable[[Tensor], tuple[Tensor, ...]], recorded)(now))


def record_logits(network: Network, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Record the forward pass of a network in evaluation mode, whose weights need no gradient; else as above."""
    with torch.no_grad():
        return _recorded(network, images) or network


class _Pass(nn.Module):
    """`Network.outputs` as a module that returns tensors only, because nothing else can be recorded."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits, features and, if the network has them, attention maps."""
        return tuple(output for output in self.network.outputs(images) if output is not None)


def _recorded(module: M, images: Tensor) -> M | None:
    """Return the module with its `forward` recorded; None, and a note, if that is not possible."""
    try:
        with _same_buffers(module):
            return cast(M, torch.cuda.make_graphed_callables(module, (images,)))
    except Exception as error:  # a driver may refuse in many ways; training continues without
        reason = " ".join(str(error).split())[:200]
        note(f"training continues without CUDA graphs, slower ({type(error).__name__}: {reason})")
        return None


@contextmanager
def _same_buffers(module: nn.Module) -> Iterator[None]:
    """Restore the running statistics that the passes before a recording changed, in place."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
