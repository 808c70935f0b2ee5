"""`mien compare`: two models on the same images, and whether the difference may be chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

MEASURES = (
    ("accuracy", "accuracy"),
    ("mean_class_accuracy", "mean class accuracy"),
    ("macro_f1", "macro F1"),
)


def compare(
    first: Annotated[Path, typer.Argument(help="Predictions file of one model.")],
    second: Annotated[Path, typer.Argument(help="Predictions file of the other, on the same images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two predictions files of the same images: differences, intervals, McNemar's test."""
    from mien.evaluation.comparison import compare as compute_comparison
    from mien.evaluation.predictions import Predictions

    compared = compute_comparison(Predictions.load(first), Predictions.load(second))
    if as_json:
        import json

        typer.echo(json.dumps(compared, indent=1))
        return
    _show(compared, "all images")
    rest = compared["without_duplicates"]
    if rest["n"] not in (0, compared["n"]):
        _show({**compared, **rest}, "without twins")
    if not compared["same_fingerprint"]:
        typer.echo("The fingerprints differ: read at different sizes, or not the same version of the data.", err=True)


def _show(compared: dict[str, Any], which: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mien.apps.score_tables import percent

    table = Table(
        "in %; classes: recall",
        title=escape(f"{compared['dataset']}, {compared['split']}, {which}: {compared['n']}"),
        caption="Difference: second minus first. Brackets: 95 % paired bootstrap intervals.",
    )
    for heading in (_name(compared["first"]), _name(compared["second"]), "difference"):
        table.add_column(escape(heading), justify="right")
    for key, heading in MEASURES:
        difference = percent(compared["difference"][key], compared["intervals"].get(key))
        table.add_row(heading, percent(compared["first"][key]), percent(compared["second"][key]), difference)
    for name, row in compared["per_class"].items():
        gap = None if row["first"] is None else row["second"] - row["first"]
        table.add_row(f"{name}, {row['n']}", *(percent(x, digits=1) for x in (row["first"], row["second"], gap)))
    console = Console()
    console.print(table)
    test = compared["mcnemar"]
    console.print(
        f"Right alone: first {test['only_first']}, second {test['only_second']}; both {compared['both_right']}, neither"
        f" {compared['both_wrong']}. McNemar: p = {test['p_exact']:.4g} (exact), {test['p_mid']:.4g} (mid-p)"
    )


def _name(side: dict[str, Any]) -> str:
    return str(side["model"] if side["views"] == "one" else f"{side['model']}, {side['views']}")
