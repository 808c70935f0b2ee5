"""Folding of batch norms in other libraries' networks, whose names promise nothing: a forward pass shows the order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from mien.models.layers.folding import convolution_like, folded_weight_and_bias


@torch.no_grad()
def fold_observed(module: nn.Module, images: Tensor) -> None:
    """Fold every batch norm that is the only reader of a convolution's output.

    Args:
        module: In evaluation mode; changed in place. Layers that run more than once in a pass stay as they are.
        images: A batch that the module accepts; its values do not matter.
    """
    convolutions = {name: m for name, m in module.named_modules() if isinstance(m, nn.Conv2d)}
    norms = {
        name: m
        for name, m in module.named_modules()
        if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None and m.affine
    }
    watch = _Watch(
        {id(convolution.weight): name for name, convolution in convolutions.items()},
        {id(norm.running_mean): name for name, norm in norms.items()},
    )
    with watch:
        module(images)
    for convolution_name, norm_name in watch.pairs():
        convolution, norm = convolutions[convolution_name], norms[norm_name]
        rest = _after_normalizing(norm)
        if rest is not None:
            folded = convolution_like(convolution, *folded_weight_and_bias(convolution, norm))
            module.set_submodule(convolution_name, folded)
            module.set_submodule(norm_name, rest)


class _Watch(TorchFunctionMode):
    """Records which batch norm reads which convolution's output, and all other reads of it."""

    def __init__(self, convolutions: Mapping[int, str], norms: Mapping[int, str]) -> None:
        super().__init__()
        self.convolutions, self.norms = convolutions, norms
        self.made_by: dict[int, str] = {}
        self.kept: list[Tensor] = []  # keeps the tensors alive, so that their ids stay unique
        self.reads: Counter[int] = Counter()
        self.runs: Counter[str] = Counter()
        self.normalized: list[tuple[int, str]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        # asking for a shape is not reading the values
        if any(isinstance(value, Tensor) for value in tree_leaves(result)):
            self.reads.update(id(value) for value in tree_leaves((args, kwargs)) if id(value) in self.made_by)
        if func in (torch.conv2d, F.conv2d) and (name := self.convolutions.get(id(args[1]))):
            self.made_by[id(result)] = name
            self.kept.append(result)
            self.runs[name] += 1
        elif func is F.batch_norm and (name := self.norms.get(id(args[1]))):
            self.runs[name] += 1
            if id(args[0]) in self.made_by:
                self.normalized.append((id(args[0]), name))
        return result

    def pairs(self) -> list[tuple[str, str]]:
        """Return (convolution, batch norm) where nothing else reads the convolution's output and both run once."""
        return [
            (self.made_by[source], norm)
            for source, norm in self.normalized
            if self.reads[source] == self.runs[self.made_by[source]] == self.runs[norm] == 1
        ]


def _after_normalizing(norm: Any) -> nn.Module | None:
    """Return what a batch norm layer does after normalizing; None for an unknown kind."""
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    if type(norm).__name__ == "BatchNormAct2d" and hasattr(norm, "drop") and hasattr(norm, "act"):  # timm's
        return nn.Sequential(norm.drop, norm.act)
    return None
