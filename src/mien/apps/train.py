"""`mien train`: from a recipe and a data set to a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mien.apps.data_sets import DatasetOption
from mien.apps.options import recipe_names
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.training import Choices, gather_overrides, settle, settle_steps, show_notes, show_start
from mien.core.errors import RecipeError


def train(  # noqa: PLR0913, PLR0917 - one parameter per option
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe by name (finetune, default, despam/fer2013 ...) or a .toml file.",
            autocompletion=recipe_names,
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: DatasetOption = None,
    epochs: Annotated[int | None, typer.Option(help="Short for --set schedule.epochs=N.")] = None,
    lr: Annotated[float | None, typer.Option(help="Short for --set optimizer.lr=X.")] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set training.seed=N.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting, as loss.name=cross_entropy. Repeatable."),
    ] = None,
    ablation: Annotated[str | None, typer.Option(help="Apply the recipe's [ablation.NAME] table.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="default|RUN|FILE",
            help="Start from these weights: the shipped model's, a run folder's, or a file (.safetensors, torch's).",
        ),
    ] = None,
    plugin: PluginFiles = None,
    out: Annotated[Path | None, typer.Option(help="Write the run here [default: runs/RECIPE].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue after the last completed epoch in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    scenes: Annotated[
        Path | None, typer.Option(help="For a face detector: folder of photographs that faces are drawn into.")
    ] = None,
) -> None:
    """Train a network from a recipe.

    finetune trains the shipped model further on your own images; mien recipes lists all recipes. detector/faces trains
    a face detector.

    Writes checkpoints, curves and confusion matrix (PNG), a run record and model.onnx. The data set is only read; a
    folder .mien-cache next to a fer2013.csv keeps its parsed pixels.
    """
    load_plugin_files(plugin)
    from mien.recipes import is_detector_recipe

    if is_detector_recipe(recipe):
        overrides = gather_overrides(settings, dataset=dataset, epochs=epochs, lr=lr, seed=seed)
        path = None if weights is None else Path(weights)
        _train_detector(recipe, data, scenes, overrides, ablation, path, out, resume=resume, quiet=quiet)
        return
    if scenes is not None:
        raise RecipeError("--scenes is for recipes of face detectors, such as detector/faces; leave it out.")
    overrides = gather_overrides(settings, dataset=dataset, weights=weights, epochs=epochs, lr=lr, seed=seed)
    _train(Choices(recipe, overrides, ablation, data), out, resume=resume, quiet=quiet)


def _train(choices: Choices, out: Path | None, *, resume: bool, quiet: bool) -> None:
    from mien.training.processes import check_folder, is_first_process

    recipe = settle(choices)
    folder = out or Path("runs") / recipe.name.replace("/", "-")
    check_folder(folder, resume=resume)
    # torch is imported from here on, which takes seconds
    from mien.training.fit import fit
    from mien.training.loading import load_data
    from mien.training.rehearsal import rehearse
    from mien.apps.run_files import finish  # isort: skip  # after training's own imports, which name a missing extra

    rehearse(recipe)
    dataset = load_data(recipe, choices.data)
    recipe = settle_steps(recipe, dataset, choices)
    is_first = is_first_process()
    if is_first and not quiet:
        show_start(recipe, dataset, choices.data, folder)
    run = fit(recipe, dataset, folder, resume=resume, quiet=quiet)
    if is_first:
        show_notes(run.record.weights.get("notes", ()))
        finish(run, dataset)


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
    from mien.training.processes import check_folder

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
