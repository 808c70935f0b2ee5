"""`mien gallery`: draw maps of several networks or methods side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.apps.data_sets import DataOption, DatasetOption, load_faces
from mien.apps.explain import Methods
from mien.apps.options import Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files


def gallery(  # noqa: PLR0913, PLR0917 - one parameter per option
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Run folders, names or .onnx files.")],
    out: Annotated[
        list[Path], typer.Option("--out", "-o", help=".png or .svg file; both without an extension. Repeatable.")
    ],
    data: DataOption = None,
    dataset: DatasetOption = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    method: Methods = None,
    layer: Annotated[str | None, typer.Option(help="Stage to explain [default: the last].")] = None,
    part: Annotated[
        list[str] | None, typer.Option(help="Draw a part's own map, named as in `mien explain`. Repeatable.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="A model's name in the figure [default: its own]. Repeatable.")
    ] = None,
    mean: Annotated[bool, typer.Option("--mean", help="Draw the mean map of many faces over the mean face.")] = False,
    faces: Annotated[int, typer.Option(min=1, help="With --mean: faces per row.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the drawn faces.")] = 0,
    colours: Annotated[
        Literal["blue-orange", "green-red"],
        typer.Option(metavar="blue-orange|green-red", help="Colours of right and wrong predictions."),
    ] = "blue-orange",
    plugin: PluginFiles = None,
    threads: Threads = 1,
) -> None:
    """Draw maps of several networks side by side.

    One row per expression, one column per model, method or part, the same faces in all columns. Maps explain the
    label that each network predicts, which is marked as right or wrong. The faces are drawn at random.
    """
    load_plugin_files(plugin)
    from mien.core.errors import DataError
    from mien.explain.figures import check_figure_paths, save_figure
    from mien.explain.gallery import build_gallery
    from mien.explain.gallery_figure import COLOURS, draw_gallery
    from mien.explain.loading import load_explainer
    from mien.explain.methods import PARTS, STAGE_METHODS

    files = check_figure_paths(out)
    if name is not None and len(name) != len(models):
        raise DataError(f"Got {len(name)} names for {len(models)} models; expected one per model, or none.")
    explainers = [load_explainer(model, threads) for model in models]
    methods = method or ([] if part else explainers[0].methods[:1])
    drawn = build_gallery(
        explainers,
        lambda model: load_faces(model, data, dataset).split(split),
        [(word, layer if word in STAGE_METHODS else None) for word in methods] + [(PARTS, word) for word in part or []],
        names=name or (),
        faces=faces if mean else 1,
        seed=seed,
    )
    save_figure(lambda: draw_gallery(drawn, COLOURS[colours]), files)
    typer.echo("\n".join(map(str, files)))
