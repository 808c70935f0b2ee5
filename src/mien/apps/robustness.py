"""`mien robustness`: measures how much accuracy a model keeps in bad light, behind a mask, from far away ..."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.apps.data_sets import DataOption, DatasetOption, load_faces, show_progress
from mien.apps.options import AsJson, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files

SUFFIXES = (".png", ".svg")


def robustness(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model by name, or an .onnx file.")],
    data: DataOption = None,
    dataset: DatasetOption = None,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "validation",
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Apply only this corruption. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the corruptions.")] = 0,
    threads: Threads = 1,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")] = None,
    figure: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Also draw the curves to this .png or .svg file. Repeatable."),
    ] = None,
) -> None:
    """Score a model on corrupted images.

    Prints the accuracy that the model keeps under each corruption and severity.
    """
    from mien.apps.score_tables import show_robustness
    from mien.core.whole_file import write_whole
    from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES
    from mien.evaluation.robustness import measure_robustness
    from mien.inference.model import OnnxModel

    load_plugin_files(plugin)
    figures = figure or []
    _check_outputs([*figures, *([out] if out else [])], figures)
    names = only or list(CORRUPTIONS)
    loaded = OnnxModel.load(model, threads=threads)
    faces = load_faces(loaded, data, dataset)
    passes = 1 + len(names) * len(SEVERITIES)
    with show_progress(passes * int(faces.in_split(split).sum())) as progress:
        measured = measure_robustness(loaded, faces, split, names=names, seed=seed, progress=progress)
    record = json.dumps(measured, indent=1)
    if out is not None:
        write_whole(out, record + "\n")
    for path in figures:
        _draw(measured, path)
    if as_json:
        typer.echo(record)
    else:
        show_robustness(measured)


def _check_outputs(paths: list[Path], figures: list[Path]) -> None:
    """Raise an error now if a result could not be written after minutes of work."""
    from mien.core.errors import DataError

    for path in paths:
        if not path.parent.is_dir():
            raise DataError(f"No folder {path.parent} for {path.name}; make it first.")
    for path in figures:
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"--figure {path}: expected a file that ends in {' or '.join(SUFFIXES)}.")
    if figures:
        import matplotlib as mpl  # noqa: F401


def _draw(measured: dict[str, Any], path: Path) -> None:
    """Draw the curves; the same input gives the same file."""
    import matplotlib as mpl

    from mien.evaluation.report.drawing import STYLE
    from mien.evaluation.report.robustness import robustness_figure

    with mpl.rc_context(STYLE):
        figure = robustness_figure(measured)
        figure.suptitle(f"{measured['model']} on {measured['dataset']}, {measured['split']}", fontsize="large")
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
