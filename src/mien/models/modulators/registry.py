"""Modulators by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mien.core.errors import ModelError, RecipeError
from mien.core.plugins import Table, classes_by_file, make_class_table
from mien.models import modulators
from mien.models.modulators import Modulator
from mien.models.network import Stage
from mien.models.options import call_with_options

NO_MODULATOR = "none"


def table() -> Table[type[Modulator]]:
    """Return all modulators: the files of this package, other packages' and loaded plug-in files'."""
    return make_class_table("modulator", "mien.modulators", Modulator, classes_by_file(modulators, Modulator))


def names() -> list[str]:
    """Return the names of all modulators, sorted."""
    return table().names()


def create_modulator(choice: Mapping[str, object] | str, stage: Stage) -> Modulator | None:
    """Make the modulator that follows a stage; None for "none".

    Args:
        choice: A name, or a mapping with the key `name` and the modulator's options.
        stage: The stage that it follows.

    Raises:
        ModelError: No such modulator.
        RecipeError: No such option, or an invalid value.
    """
    options = {} if isinstance(choice, str) else dict(choice)
    name = choice if isinstance(choice, str) else options.pop("name", None)
    if not isinstance(name, str):
        raise RecipeError(f"The modulator after '{stage.name}' has no name; write name = \"despam\", for example.")
    if name == NO_MODULATOR:
        return None
    build = partial(table().load(name, ModelError), stage)
    return call_with_options(build, options, owner=f"modulator '{name}'")
