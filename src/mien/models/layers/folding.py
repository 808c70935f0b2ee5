"""Folding: the same function with fewer layers, for deployment.

In evaluation a batch norm is a fixed scale and shift of each channel, so it merges into the convolution before it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


@runtime_checkable
class Foldable(Protocol):
    """A module that can be replaced by a cheaper one with the same function in evaluation."""

    def fold(self) -> nn.Module:
        """Return the cheaper module."""
        ...


def fold(module: M) -> M:
    """Return a folded copy in evaluation mode, without gradients.

    Folded are `Foldable` parts, and batch norms directly after their convolution: neighbours in a `Sequential`, or
    attributes named alike, `conv1` and `bn1`. These names promise that the second is applied to the first's output and
    that nothing else reads it.
    """
    module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
    _fold_children(module)
    return module


def _fold_children(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, Foldable):
            setattr(module, name, child.fold())
        else:
            _fold_children(child)
    for conv_name, norm_name in list(_conv_norm_names(module)):
        conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, convolution_like(conv, *folded_weight_and_bias(conv, norm)))
            setattr(module, norm_name, nn.Identity())


def _conv_norm_names(module: nn.Module) -> Iterator[tuple[str, str]]:
    names = [name for name, _ in module.named_children()]
    if isinstance(module, nn.Sequential):
        yield from pairwise(names)
        return
    for name in names:
        norm_name = f"bn{name.removeprefix('conv')}"
        if name.startswith("conv") and norm_name in names:
            yield name, norm_name


def norm_scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return a batch norm's scale and shift in evaluation, (C,) in float64: scale * x + shift."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("A batch norm without running statistics cannot be folded.")
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def folded_weight_and_bias(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight (out, in / groups, k, k) and bias (out,) of `norm(conv(x))` in evaluation, in float64."""
    scale, shift = norm_scale_and_shift(norm)
    bias = shift if conv.bias is None else shift + conv.bias.double() * scale
    return conv.weight.double() * scale[:, None, None, None], bias


@torch.no_grad()
def convolution_like(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """Return a biased convolution with the geometry and type of `conv` and the given weight and bias."""
    folded = copy.deepcopy(conv)
    folded.weight.copy_(weight)
    folded.bias = nn.Parameter(bias.to(conv.weight.dtype))
    return folded.eval().requires_grad_(requires_grad=False)
