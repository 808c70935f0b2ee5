"""`mien models`: the networks that can be trained and the model files that can be used by name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    plugin: PluginFiles = None,
    files: Annotated[bool, typer.Option("--files", help="List only the model files.")] = False,
) -> None:
    """List networks and model files.

    For each network: its paper, parameters in training and deployed, millions of multiply-accumulates, and the input
    (channels x height x width) that they are counted for.

    Model files can be named in --model. They come from the package, from the folder in the environment variable
    MIEN_WEIGHTS, and from weights/ in a checkout. --json lists the networks, --json --files the model files.

    --plugin lists the networks of your files too, and prints everything that they add to standard error.
    """
    from mien.inference.model_files import model_files

    found = [(name, str(file), len(file.read_bytes())) for name, file in model_files().items()]
    if files and as_json:
        typer.echo(json.dumps([dict(zip(("name", "file", "bytes"), row, strict=True)) for row in found], indent=1))
        return
    if not files:
        _list_networks(plugin, as_json=as_json)
    if not as_json:
        _print_table(("model", "MB", "file"), ((name, f"{size / 1e6:.2f}", file) for name, file, size in found))


def _list_networks(plugin: PluginFiles, *, as_json: bool) -> None:
    from mien.models.catalogue import catalogue, count_network

    entries = catalogue()
    for kind, name in load_plugin_files(plugin):
        typer.echo(f"added: {kind} '{name}'", err=True)
        if kind == "network":
            from mien.models import registry  # imports torch

            entries.append(count_network(registry.specification(name)))
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=1))
        return
    rows = (
        (
            entry.name,
            entry.paper.split(",")[0],  # authors and year; --json has the title
            f"{entry.parameters:,}",
            f"{entry.parameters_deployed:,}",
            f"{entry.macs / 1e6:,.0f}",
            "x".join(map(str, entry.input)),
        )
        for entry in entries
    )
    _print_table(("network", "paper", "parameters", "deployed", "MMAC", "input"), rows)
    typer.echo()


def _print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        is_number = column in ("parameters", "deployed", "MMAC", "MB")
        table.add_column(column, overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
