"""`mien models`: the networks that can be trained and the model files that can be used by name."""

from __future__ import annotations

from typing import Annotated

import typer


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List every network: paper, parameters in training and deployed, multiply-accumulates and input."""
    import json

    from mien.models.catalogue import catalogue

    entries = catalogue()
    if as_json:
        typer.echo(json.dumps([entry.to_json() for entry in entries], indent=1))
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
