"""`mien compare`: compares two models on the same images and tests whether the difference may be chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.apps.options import AsJson


def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Predictions file of the first model.")],
    second: Annotated[
        Path, typer.Argument(metavar="SECOND", help="Predictions file of the second model, on the same images.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare two models on the same images.

    Prints the differences with paired bootstrap intervals, and McNemar's test.
    """
    from mien.apps.score_tables import show_comparison
    from mien.evaluation.comparison import compare as compute_comparison
    from mien.evaluation.predictions import Predictions

    compared = compute_comparison(Predictions.load(first), Predictions.load(second))
    if as_json:
        typer.echo(json.dumps(compared, indent=1))
        return
    show_comparison(compared)
    if not compared["same_fingerprint"]:
        typer.echo("The fingerprints differ: images of different size, or another version of the data.", err=True)
