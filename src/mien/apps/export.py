"""`mien export`: from a run folder to an .onnx file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder that `mien train` wrote.")],
    data: Annotated[Path | None, typer.Option(help="Data set, to score and calibrate the file.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write [default: RUN/model.onnx].")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in 16 bits: half the size.")] = False,
) -> None:
    """Write a trained network as ONNX with its model card inside, checked against torch.

    Without --data the scores, temperature and threshold that the run recorded, if any, go into the card.
    """
    from mien.apps.publishing import MODEL, publish
    from mien.training.batches import load_data
    from mien.training.recipe import Recipe
    from mien.training.run import load_run

    finished = load_run(run)
    recipe = Recipe.model_validate(finished.record.recipe)
    dataset = load_data(recipe, data) if data is not None or recipe.data.dataset == "synthetic" else None
    path = out or run / MODEL
    publish(finished, dataset, path, use_half_weights=half)
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB, torch and onnxruntime agree")
