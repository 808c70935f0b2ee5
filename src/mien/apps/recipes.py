"""`mien recipes`: the recipes that can be trained by name."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List the recipes of mien train.

    For each recipe: its data set and what it is. The first half of a name is enough if it is unambiguous: finetune.
    """
    from mien.recipes.loading import describe_recipes

    rows = describe_recipes()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "data set", "what", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["recipe"], row["dataset"], row["what"])
    Console().print(table)
    typer.echo("\nmien train RECIPE --data PATH [--epochs N] [--lr X] [--seed N]")
