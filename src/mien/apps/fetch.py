"""`mien fetch`: download what is not shipped."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def fetch(
    detector: Annotated[Literal["yunet"], typer.Argument(help="What to download.")],
    timeout: Annotated[float, typer.Option(min=0.1, help="Time limit for each address, in seconds.")] = 20.0,
) -> None:
    """Download a face detector, to use instead of mien's own.

    YuNet (230 kB, MIT licence) comes from the OpenCV zoo, and its SHA-256 is checked. Use it with --detector yunet.
    """
    from mien.inference.detectors.yunet import fetch_weights

    typer.echo(f"YuNet is at {fetch_weights(timeout)}")
