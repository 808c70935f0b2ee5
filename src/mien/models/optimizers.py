"""Optimizers by name: one table, each a library's implementation. Others join by entry point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import RecipeError
from mien.models.discovery import Table, with_plugins
from mien.models.options import call_with_options

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def _table() -> Table[type[torch.optim.Optimizer]]:
    return with_plugins("optimizer", "mien.optimizers", torch.optim.Optimizer, OPTIMIZERS)


def names() -> list[str]:
    """Return the names of all optimizers, sorted."""
    return _table().names()


def create_optimizer(
    name: str,
    parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
    *,
    lr: float,
    weight_decay: float,
    options: Mapping[str, object] | None = None,
) -> torch.optim.Optimizer:
    """Make an optimizer; options that are not given keep the library's defaults (so SGD has no momentum).

    Args:
        name: One of `names()`.
        parameters: Tensors, or groups such as `decay_groups` returns.
        lr: Learning rate, above 0.
        weight_decay: At least 0; decoupled for AdamW, an L2 term in the gradient for the others.
        options: The optimizer's own settings by name, such as `momentum` or `betas`.

    Raises:
        RecipeError: No such optimizer or option, or a value that does not fit.
    """
    build = _table().load(name, RecipeError)
    given = {"params": parameters, "lr": lr, "weight_decay": weight_decay}
    return call_with_options(build, options, owner=f"optimizer '{name}'", given=given)


def decay_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Split the trainable parameters in two groups: those of 2 and more dimensions decay, the others do not.

    So biases and the scales and shifts of norms stay free ("no bias decay", He et al. 2019, section 3.1).
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trainable if parameter.ndim >= 2]},
        {"params": [parameter for parameter in trainable if parameter.ndim < 2], "weight_decay": 0.0},
    ]
