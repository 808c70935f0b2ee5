"""`mien fetch`: download what cannot be shipped."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Download what cannot be shipped. Nothing else in mien downloads what was not named.")


@app.callback()
def _fetch() -> None:
    """Stand for the group, so that `yunet` stays a word of the command."""


@app.command()
def yunet(
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds until an address is given up.")] = 20.0,
) -> None:
    """Download the YuNet face detector (230 kB, MIT licence) from the OpenCV zoo and check its SHA-256."""
    from mien.inference.detectors.yunet import fetch_weights

    typer.echo(f"YuNet is at {fetch_weights(timeout)}")
