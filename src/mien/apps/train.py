"""`mien train`: from a recipe and a data set to a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.errors import RecipeError


def train(  # noqa: PLR0913, PLR0917 - one parameter per option
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Recipe by name (default, despam/fer2013 ...) or a .toml file.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting, as schedule.epochs=5. Repeatable."),
    ] = None,
    ablation: Annotated[str | None, typer.Option(help="Apply the recipe's [ablation.NAME] table.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from these weights: .safetensors, torch's, or a run's checkpoint.")
    ] = None,
    plugin: PluginFiles = None,
    out: Annotated[Path | None, typer.Option(help="Write the run here [default: runs/RECIPE].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue after the last completed epoch in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress bar.")] = False,
    scenes: Annotated[
        Path | None, typer.Option(help="For a face detector: folder of photographs that faces are drawn into.")
    ] = None,
) -> None:
    """Train a network from a recipe; detector/faces trains a face detector.

    Writes checkpoints, curves, a run record and model.onnx. The data set is only read; a folder .mien-cache next to a
    fer2013.csv keeps its parsed pixels.
    """
    load_plugin_files(plugin)
    from mien.recipes import is_detector_recipe

    if is_detector_recipe(recipe):
        _train_detector(recipe, data, scenes, settings or (), ablation, weights, out, resume=resume, quiet=quiet)
        return
    if scenes is not None:
        raise RecipeError("--scenes is for recipes of face detectors, such as detector/faces; leave it out.")
    from mien.recipes import load_recipe
    from mien.training.batches import load_data
    from mien.training.fit import check_folder, fit
    from mien.training.processes import is_first_process
    from mien.training.rehearsal import rehearse

    settled = load_recipe(recipe, settings or (), ablation)
    from mien.export.publish import MODEL, publish  # after training's own imports: a missing extra is named by those

    folder = out or Path("runs") / settled.name.replace("/", "-")
    check_folder(folder, resume=resume)
    rehearse(settled)
    dataset = load_data(settled, data)
    run = fit(settled, dataset, folder, weights=weights, resume=resume, quiet=quiet)
    if not is_first_process():
        return
    for note in run.record.weights.get("notes", ()):
        typer.echo(f"note: {note}", err=True)
    scores = publish(run, dataset, folder / MODEL).scores
    typer.echo(
        f"{folder / MODEL}: {100 * scores['accuracy']:.2f} % of {scores['n']} {scores['split']} faces "
        f"({run.record.selection['rule']}: {run.record.selection['epoch'] + 1} of {len(run.record.curves)}), "
        f"{run.record.minutes:.1f} minutes"
    )


def _train_detector(  # noqa: PLR0913, PLR0917 - the options of the command
    recipe: str,
    data: Path | None,
    scenes: Path | None,
    settings: Sequence[str],
    ablation: str | None,
    weights: Path | None,
    out: Path | None,
    *,
    resume: bool,
    quiet: bool,
) -> None:
    from mien.data.scenes.photographs import load_scenes
    from mien.export.detector import DETECTOR, publish_detector  # a missing extra is named by training's own imports
    from mien.recipes import load_detector_recipe
    from mien.training.detector.fit import fit_detector, load_detector_faces
    from mien.training.fit import check_folder

    if ablation is not None:
        raise RecipeError(f"Recipe {recipe} has no ablation '{ablation}'; recipes of face detectors have none.")
    settled = load_detector_recipe(recipe, settings)
    if scenes is None:
        raise RecipeError("A face detector needs photographs to draw faces into: name a folder with --scenes DIR.")
    folder = out or Path("runs") / settled.name.replace("/", "-")
    check_folder(folder, resume=resume)
    photographs, faces = load_scenes(scenes), load_detector_faces(settled, data)
    run = fit_detector(settled, faces, photographs, folder, weights=weights, resume=resume, quiet=quiet)
    card = publish_detector(run, faces, photographs, folder / DETECTOR)
    found = "; ".join(
        f"{name}: {scores['found']} of {scores['faces']} faces, {scores['false']} false boxes"
        for name, scores in card.scores.items()
    )
    typer.echo(f"{folder / DETECTOR}: {found}; {run.record.minutes:.1f} minutes")
