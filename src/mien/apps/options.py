"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ModelName = Annotated[str, typer.Option(metavar="NAME|FILE", help="A shipped model or an .onnx file.")]
DetectorName = Annotated[
    str,
    typer.Option(
        metavar="NAME[:FILE][@PIXELS]",
        help="Find faces with auto (mien's own), yunet, haar, a plug-in's name, or none: each image is one face. FILE: "
        "its model file. PIXELS: the smallest face that auto finds [default: 24].",
    ),
]
KeepAll = Annotated[bool, typer.Option("--keep-all", help="Keep boxes that the model rejects as non-faces.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
