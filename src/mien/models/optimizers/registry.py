"""Optimizers by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from mien.core.errors import RecipeError
from mien.core.plugins import Table, classes_by_file, make_class_table
from mien.models import optimizers
from mien.models.options import call_with_options

# Classes of libraries, imported on demand: pytorch_optimizer takes long to import.
LIBRARY_CLASSES = {
    "adam": ("torch.optim", "Adam"),
    "adamax": ("torch.optim", "Adamax"),
    "adamw": ("torch.optim", "AdamW"),
    "adan": ("pytorch_optimizer", "Adan"),
    "lion": ("pytorch_optimizer", "Lion"),
    "sgd": ("torch.optim", "SGD"),
}


def table() -> Table[type[Optimizer]]:
    """Return all optimizers: this package's files, the libraries', other packages' and loaded plug-in files'."""
    built_in = {**classes_by_file(optimizers, Optimizer), **dict.fromkeys(LIBRARY_CLASSES, Optimizer)}
    found = make_class_table("optimizer", "mien.optimizers", Optimizer, built_in)
    return Table(found.kind, {**found.loaders, **{name: partial(_import, name) for name in LIBRARY_CLASSES}})


def _import(name: str) -> type[Optimizer]:
    module, class_name = LIBRARY_CLASSES[name]
    try:
        found: type[Optimizer] = getattr(importlib.import_module(module), class_name)
    except ImportError:
        raise RecipeError(
            f"Optimizer '{name}' needs the package {module.replace('_', '-')}; install it with pip install "
            "'mien[train]'."
        ) from None
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
) -> Optimizer:
    """Make an optimizer; options that are not given keep the library's defaults (so SGD has no momentum).

    Args:
        name: One of `names()`.
        parameters: Tensors, or groups such as `decay_groups` returns.
        lr: Learning rate, at least 0.
        weight_decay: At least 0; what it means differs, see `mien.models.optimizers`.
        options: The optimizer's own settings by name, such as `momentum` or `betas`.

    Raises:
        RecipeError: Unknown optimizer or option, an invalid value, or a package that is not installed.
    """
    if lr < 0:
        raise RecipeError(f"The learning rate is {lr}; it must be at least 0.")
    build = table().load(name, RecipeError)
    _check_betas(name, build, options or {})
    given = {"params": parameters, "lr": lr, "weight_decay": weight_decay}
    return call_with_options(build, options, owner=f"optimizer '{name}'", given=given)


def _check_betas(name: str, build: type[Optimizer], options: Mapping[str, object]) -> None:
    """Refuse a wrong number of betas: some constructors accept it, and the first step fails."""
    betas = options.get("betas")
    default = inspect.signature(build).parameters.get("betas")
    if default is not None and isinstance(betas, list | tuple) and len(betas) != len(default.default):
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
