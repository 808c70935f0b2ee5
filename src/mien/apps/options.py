"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelName = Annotated[str, typer.Option(metavar="NAME|FILE", help="A shipped model or an .onnx file.")]
DetectorName = Annotated[
    str,
    typer.Option(
        metavar="auto|haar|yunet|none",
        help="How faces are found: auto is YuNet if it is there, else Haar; none: a picture is a face.",
    ),
]
YunetFile = Annotated[Path | None, typer.Option(metavar="FILE", help="YuNet's model file.")]
KeepAll = Annotated[bool, typer.Option("--keep-all", help="Keep boxes that the model takes for no face.")]
