"""Recording what parts of a network compute.

A part passes tensors worth seeing through `observe`. Unless the network runs inside `observing`, that does and keeps
nothing, so neither outputs nor exported files depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

# The attribute of a module that is being observed: (its path in the network, the dictionary to write to).
LISTENER = "_observed_as"
Observations = dict[tuple[str, str], Tensor]


def observe(module: nn.Module, part: str, values: Tensor) -> Tensor:
    """Return `values` unchanged, and record them if the network is being observed.

    Args:
        module: The part of the network that computed them.
        part: Their name, unique in the module.
        values: Any tensor.
    """
    listener = module.__dict__.get(LISTENER)
    if listener is not None:
        path, seen = listener
        seen[path, part] = values
    return values


@contextmanager
def observing(network: nn.Module) -> Iterator[Observations]:
    """Record what a network's parts pass through `observe`, in a dictionary by (module path, part).

    The network continues with the very same tensors, so gradients by them can be taken. Of a part that computes
    something twice, the last is kept. One observer at a time, in one thread.

    Examples:
        >>> import torch
        >>> from mien.models import registry
        >>> network = registry.create("despam", in_channels=3).eval()
        >>> with observing(network) as seen:
        ...     logits = network(torch.zeros(1, 3, 112, 112))
        >>> seen["modulators.stage2", "gate"].shape
        torch.Size([1, 1, 28, 28])
    """
    seen: Observations = {}
    modules = list(network.named_modules())
    for path, module in modules:
        module.__dict__[LISTENER] = (path, seen)
    try:
        yield seen
    finally:
        for _, module in modules:
            module.__dict__.pop(LISTENER, None)
