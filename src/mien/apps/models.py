"""`mien models`: the networks that can be trained and the model files that can be used by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.models.catalogue import CatalogueEntry


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    plugin: PluginFiles = None,
    files: Annotated[bool, typer.Option("--files", help="Only the model files that --model takes by name.")] = False,
) -> None:
    """List every network: paper, parameters in training and deployed, multiply-accumulates and input.

    Below them stand the trained models that can be used by name: those of the package, of the folder in the
    environment variable MIEN_WEIGHTS, and of weights/ in a source tree. --json has either, not both.

    With --plugin the networks of these files too, counted now; what else they add is said on standard error.
    """
    import json
    from dataclasses import asdict

    if files:
        _list_files(as_json=as_json)
        return
    from mien.models.catalogue import catalogue

    entries = catalogue()
    for kind, name in load_plugin_files(plugin):
        typer.echo(f"added: {kind} '{name}'", err=True)
        if kind == "network":
            entries.append(_count(name))
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("network", "paper", "parameters", "deployed", "MMAC", "input (C, H, W)")
    for entry in entries:
        table.add_row(
            entry.name,
            entry.paper.split(",")[0],  # authors and year; --json has the whole
            f"{entry.parameters:,}",
            f"{entry.parameters_deployed:,}",
            f"{entry.macs / 1e6:,.1f}",
            " x ".join(map(str, entry.input)),
        )
    Console().print(table)
    _list_files(as_json=False)


def _list_files(*, as_json: bool) -> None:
    import json

    from mien.inference.model import model_files

    rows = [(name, str(file), len(file.read_bytes())) for name, file in model_files().items()]
    if as_json:
        typer.echo(json.dumps([dict(zip(("name", "file", "bytes"), row, strict=True)) for row in rows], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "MB", "file")
    for name, file, size in rows:
        table.add_row(name, f"{size / 1e6:.2f}", file)
    Console().print(table)


def _count(name: str) -> CatalogueEntry:
    """Return the entry of a network that is not in the catalogue; this needs torch."""
    from mien.models import registry
    from mien.models.catalogue import count_network

    return count_network(registry.specification(name))
