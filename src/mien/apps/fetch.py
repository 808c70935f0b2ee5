"""`mien fetch`: download what is not shipped."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Download a face detector.")


@app.callback()
def _fetch() -> None:
    """Keep `yunet` a subcommand; a group with one command would drop its name."""


@app.command()
def yunet(
    timeout: Annotated[float, typer.Option(min=0.1, help="Time limit for each address, in seconds.")] = 20.0,
) -> None:
    """Download YuNet (230 kB, MIT licence).

    The file comes from the OpenCV zoo, and its SHA-256 is checked.
    """
    from mien.inference.detectors.yunet import fetch_weights

    typer.echo(f"YuNet is at {fetch_weights(timeout)}")
