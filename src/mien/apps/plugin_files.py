"""The option `--plugin` of the commands that make networks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

PluginFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        help="Python file with a modulator, loss, optimizer or networks of your own; its code is run. Repeatable.",
    ),
]


def load_plugin_files(paths: Iterable[Path] | None) -> list[tuple[str, str]]:
    """Execute the files that the user named and return kind and name of what they add.

    torch is imported only if there are any.
    """
    if not paths:
        return []
    from mien.models.discovery import load_plugin_file

    return [part for path in paths for part in load_plugin_file(path)]
