"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer


def _model_names(incomplete: str) -> list[str]:
    from mien.inference.model_files import model_files

    return [name for name in model_files() if name.startswith(incomplete)]


def recipe_names(incomplete: str) -> list[str]:
    """Return the shipped recipes that begin with a word, for completion."""
    from mien.recipes.loading import names

    return [name for name in names() if name.startswith(incomplete)]


def _detector_names(incomplete: str) -> list[str]:
    from mien.inference.detectors.registry import table

    return [name for name in table().loaders if name.startswith(incomplete)]


ModelName = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE|RUN", help="A shipped model, an .onnx file or a run folder.", autocompletion=_model_names
    ),
]
DetectorName = Annotated[
    str,
    typer.Option(
        metavar="NAME[:FILE][@PIXELS]",
        help="Find faces with auto (mien's own), yunet, haar, a plug-in's name, or none: each image is one face. FILE: "
        "its model file. PIXELS: the smallest face that auto finds [default: 24].",
        autocompletion=_detector_names,
    ),
]
KeepAll = Annotated[bool, typer.Option("--keep-all", help="Keep boxes that the model rejects as non-faces.")]
ViewsName = Annotated[
    str,
    typer.Option(
        metavar="one|flip|ten-crop",
        help="Average over views of each face: one (off), flip (and mirrored, twice the network's time) or ten-crop.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
