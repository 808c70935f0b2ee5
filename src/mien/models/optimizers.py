"""Optimizers by name: one table, a library's implementation wherever one has it. Others join by entry point.

What `weight_decay` is to each of them, for a parameter theta and the learning rate lr:

| optimizer | weight decay w |
|---|---|
| adabob | decoupled: theta (1 - lr w) before the step; `use_decoupled_decay = false`: as adam |
| adam, adamax, sgd | an L2 term: w theta is added to the gradient, and so scaled as the gradient is |
| adamw | decoupled: theta (1 - lr w) before the step |
| adan | decoupled, proximal: theta / (1 + lr w) after the step; `weight_decouple = true`: as adamw |
| lion | decoupled: theta (1 - lr w) before the step; `weight_decouple = false`: as adam |
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import RecipeError
from mien.core.plugins import Table, make_class_table
from mien.models.adabob import AdaBoB
from mien.models.options import call_with_options

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adabob": AdaBoB,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
# Classes of pytorch-optimizer, which takes long to import.
LIBRARY_CLASSES = {"adan": "Adan", "lion": "Lion"}


def table() -> Table[type[torch.optim.Optimizer]]:
    """Return all optimizers: torch's and the library's listed here, other packages' and loaded plug-in files'."""
    built_in = {**OPTIMIZERS, **dict.fromkeys(LIBRARY_CLASSES, torch.optim.Optimizer)}  # all names, to find clashes
    found = make_class_table("optimizer", "mien.optimizers", torch.optim.Optimizer, built_in)
    imported_late = {name: partial(_from_library, name) for name in LIBRARY_CLASSES}
    return Table(found.kind, {**found.loaders, **imported_late})


def _from_library(name: str) -> type[torch.optim.Optimizer]:
    try:
        library = importlib.import_module("pytorch_optimizer")
    except ImportError:
        raise RecipeError(
            f"Optimizer '{name}' needs the package pytorch-optimizer; pip install 'mien[train]' brings it."
        ) from None
    found: type[torch.optim.Optimizer] = getattr(library, LIBRARY_CLASSES[name])
    return found


def names() -> list[str]:
    """Return the names of all optimizers, sorted."""
    return table().names()


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
        weight_decay: At least 0; decoupled or an L2 term, as the table above has it.
        options: The optimizer's own settings by name, such as `momentum` or `betas`.

    Raises:
        RecipeError: No such optimizer or option, a value that does not fit, or its package is not installed.
    """
    if lr < 0:
        raise RecipeError(f"Invalid learning rate: {lr}; it must be above 0.")
    build = table().load(name, RecipeError)
    _check_betas(name, build, options or {})
    given = {"params": parameters, "lr": lr, "weight_decay": weight_decay}
    return call_with_options(build, options, owner=f"optimizer '{name}'", given=given)


def _check_betas(name: str, build: type[torch.optim.Optimizer], options: Mapping[str, object]) -> None:
    """Refuse as many betas as another optimizer has: some constructors take them and the first step fails."""
    betas = options.get("betas")
    default = inspect.signature(build).parameters.get("betas")
    if default is None or not isinstance(betas, list | tuple) or len(betas) == len(default.default):
        return
    raise RecipeError(f"Optimizer '{name}' has {len(default.default)} betas, not {len(betas)}: {default.default}.")


def decay_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Split the trainable parameters in two groups: those of 2 and more dimensions decay, the others do not.

    So biases and the scales and shifts of norms stay free ("no bias decay", He et al. 2019, section 3.1).
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trainable if parameter.ndim >= 2]},
        {"params": [parameter for parameter in trainable if parameter.ndim < 2], "weight_decay": 0.0},
    ]
