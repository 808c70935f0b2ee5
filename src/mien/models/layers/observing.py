"""Looking into a network while it runs: parts say what they computed, and somebody may be listening.

A part passes what is worth seeing through `observe`. Nothing happens there, and nothing is kept, unless the network
runs inside `observing`; so neither outputs nor exported files depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

# The attribute of a module that is listened to: (its path in the network, where to write).
LISTENER = "_observed_as"
Observations = dict[tuple[str, str], Tensor]


def observe(module: nn.Module, part: str, values: Tensor) -> Tensor:
    """Return `values` as they are, and show them to whoever observes the network that `module` is in.

    Args:
        module: The part of the network that computed them.
        part: What they are, one name a module.
        values: Any tensor.
    """
    listener = module.__dict__.get(LISTENER)
    if listener is not None:
        path, seen = listener
        seen[path, part] = values
    return values


@contextmanager
def observing(network: nn.Module) -> Iterator[Observations]:
    """Listen to a network: what its parts pass through `observe` stands in the dictionary, by (module path, part).

    The tensors are the very ones that the network goes on with, so gradients by them can be taken. What a part
    computes twice is kept once, the last. One listener at a time, in one thread.

    Example:
        >>> with observing(network) as seen:  # doctest: +SKIP
        ...     logits = network(images)
        >>> seen["modulators.stage2", "gate"].shape  # doctest: +SKIP
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
