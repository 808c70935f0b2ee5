"""Folding: the same function with fewer layers, for deployment.

In evaluation a batch norm is a fixed scale and shift of each channel, so it merges into the convolution before it.
Which norm follows which convolution is observed in a forward pass, so a network's names and structure do not matter.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def fold(module: M, inputs: Tensor) -> M:
    """Return a folded copy in evaluation mode, without gradients.

    A part with a method `fold` is replaced by what that returns: a cheaper module with the same function in evaluation.
    Then every batch norm that is the only reader of a convolution's output is folded. Layers that run more than once in
    a pass stay as they are.

    Args:
        module: Any module.
        inputs: A batch that it accepts; the values do not matter.
    """
    module = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
    for name, part in list(module.named_modules()):
        if name and hasattr(part, "fold"):
            _replace(module, name, part.fold())
    modules: dict[str, Any] = dict(module.named_modules())
    for conv_name, norm_name in folded_pairs(module, inputs):
        conv, norm = modules[conv_name], modules[norm_name]
        rest = _after_normalizing(norm)
        if rest is not None:
            _replace(module, conv_name, convolution_like(conv, *folded_weight_and_bias(conv, norm)))
            _replace(module, norm_name, rest)
    return module


@torch.no_grad()
def folded_pairs(module: nn.Module, inputs: Tensor) -> list[tuple[str, str]]:
    """Return the names of the convolutions whose batch norm folds into them, each with the norm's.

    Args:
        module: Any module, in evaluation mode.
        inputs: A batch that it accepts; the values do not matter.
    """
    trace = _Trace(module)
    with trace:
        module(inputs)
    return trace.pairs()


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        module = module._modules[parent]  # type: ignore[assignment]  # not get_submodule: methods may hide its name
    module._modules[last] = part


class _Trace(TorchFunctionMode):
    """Records which batch norm reads which convolution's output, and all other reads of it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.modules: dict[str, Any] = dict(module.named_modules())
        self.names: dict[int, str] = {}  # by the tensor that a layer passes to its function
        for name, part in self.modules.items():
            if isinstance(part, nn.Conv2d):
                self.names[id(part.weight)] = name
            elif isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.affine:
                self.names[id(part.running_mean)] = name
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
        if func in (torch.conv2d, F.conv2d, F.batch_norm) and (name := self.names.get(id(args[1]))):
            self.runs[name] += 1
            if func is not F.batch_norm:
                self.made_by[id(result)] = name
                self.kept.append(result)
            elif id(args[0]) in self.made_by:
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
