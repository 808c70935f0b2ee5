"""Losses by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mien.core.errors import RecipeError
from mien.core.plugins import Table, classes_by_file, make_class_table
from mien.models import losses
from mien.models.losses import Loss, Problem
from mien.models.options import call_with_options


def table() -> Table[type[Loss]]:
    """Return all losses: the files of this package, other packages' and loaded plug-in files'."""
    return make_class_table("loss", "mien.losses", Loss, classes_by_file(losses, Loss))


def names() -> list[str]:
    """Return the names of all losses, sorted."""
    return table().names()


def create_loss(name: str, problem: Problem, options: Mapping[str, object] | None = None) -> Loss:
    """Make a loss by name.

    Raises:
        RecipeError: No such loss or option, or an invalid value.
    """
    build = partial(table().load(name, RecipeError), problem)
    return call_with_options(build, options, owner=f"loss '{name}'")
