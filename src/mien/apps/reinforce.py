"""`mien reinforce`: stores views of the training faces with the logits of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.text import count


def reinforce(  # noqa: PLR0913, PLR0917 - one parameter per option
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs: the teachers.")],
    views: Annotated[int, typer.Option(metavar="K", min=1, help="Views per face.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Write the views here.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    recipe: Annotated[str, typer.Option(metavar="RECIPE", help="Recipe with data, size and augmentation.")] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting of the recipe. Repeatable."),
    ] = None,
    ablation: Annotated[str | None, typer.Option(help="Apply the recipe's [ablation.NAME] table.")] = None,
    plugin: PluginFiles = None,
) -> None:
    """Store augmented views of the training faces with the mean logits of trained networks.

    A student with distillation.reinforced=DIR then learns from all of them at its own full speed. The views are pixels
    of the recipe's input size; students may have another. After a stop, rerun to continue; a larger K adds views.
    """
    load_plugin_files(plugin)
    import torch

    from mien.apps.data_sets import show_progress
    from mien.recipes import load_recipe
    from mien.training.loading import load_data
    from mien.training.reinforce import reinforce as store

    settled = load_recipe(recipe, settings or (), ablation)
    if settled.training.threads:
        torch.set_num_threads(settled.training.threads)
    dataset = load_data(settled, data)
    faces = int((dataset.splits == settled.data.train_split).sum())
    with show_progress(views * faces, "Views") as progress:
        manifest = store(settled, dataset, runs, out, views=views, progress=progress)
    made_from = manifest.made_from
    agreement = sum(view["agreement"] for view in manifest.views) / len(manifest.views)
    typer.echo(
        f"{out}: {count(len(manifest.views), 'view')} of {made_from['faces']:,} {made_from['dataset']} faces, "
        f"{made_from['size']} pixels; {count(len(made_from['teachers']), 'network')}, right on "
        f"{100 * agreement:.2f} % of them"
    )
