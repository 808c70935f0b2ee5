"""The option `--plugin` of every command that loads a recipe, a run, a model, a data set or a detector."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from mien.core.plugins import Table

PluginFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="Run your Python file and use its parts. Repeatable."),
]


def load_plugin_files(paths: Iterable[Path] | None) -> list[tuple[str, str]]:
    """Execute the user's files and return kind and name of what they add.

    A file may define a modulator, a loss, an optimizer, networks, a data set or a detector.

    Raises:
        MienError: A file cannot be executed, defines nothing to use, or uses a name that is taken.
    """
    if not paths:
        return []
    from mien.core.plugins import load_plugin_file

    return [part for path in paths for part in load_plugin_file(path, _tables)]


def _tables() -> list[Table[Any]]:
    from mien.data import registry as data
    from mien.inference.detectors import registry as detectors

    tables: list[Table[Any]] = [data.table(), detectors.table()]
    if "torch" in sys.modules:  # a file with parts of networks has imported it; others work without it
        from mien.models import registry
        from mien.models.losses import registry as losses
        from mien.models.modulators import registry as modulators
        from mien.models.optimizers import registry as optimizers

        tables += [registry.table(), modulators.table(), losses.table(), optimizers.table()]
    return tables
