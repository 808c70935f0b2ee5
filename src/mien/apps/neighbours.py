"""`mien neighbours`: the training faces that a network considers most similar to given faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.data_sets import DataOption, DatasetOption, load_faces, show_progress
from mien.apps.failures import Failures
from mien.apps.options import DetectorName, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.text import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.explain.torch_explainer import TorchExplainer

BATCH = 64


def neighbours(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Run folder; an .onnx file does not give features.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Images; all faces in them are looked up.")],
    data: DataOption = None,
    dataset: DatasetOption = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    k: Annotated[int, typer.Option(min=1, max=50, help="Neighbours per face.")] = 8,
    faces: Annotated[int, typer.Option(min=1, help="Search at most this many faces, labels in proportion.")] = 5000,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Draw the neighbours to this .png or .svg file; without an extension, both.",
        ),
    ] = None,
    detector: DetectorName = "auto",
    plugin: PluginFiles = None,
    threads: Threads = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show a data set's most similar faces.

    Finds the faces of a data set whose features are nearest to those of given faces, by cosine distance.
    """
    load_plugin_files(plugin)
    from mien.core.errors import ImageError, ModelError
    from mien.explain.figures import check_figure_paths, save_figure
    from mien.explain.neighbours import draw_neighbours, find_neighbours
    from mien.inference.recognizer import Recognizer

    files = check_figure_paths(out or [])
    if not model.is_dir():
        raise ModelError(f"{model} is not a run folder; neighbours require a network's features.")
    from mien.explain.torch_explainer import load_run_explainer
    from mien.training.experiment import sample_rows

    explainer = load_run_explainer(model, threads)
    recognizer = Recognizer(explainer.model, detector, use_rejection=False)
    names, images_found = [], []
    failures = Failures()
    for path in failures.expand_images(images):
        try:
            found = recognizer.find(path)
        except ImageError as error:
            failures.add(error)
            continue
        images_found.append(found)
        n = len(found.crops)
        names += [path.name if n == 1 else f"{path.name} ({i})" for i in range(1, n + 1)]
    crops = [crop for found in images_found for crop in found.crops]
    if not crops:
        raise ImageError(f"No faces detected in {', '.join(images)}; with --detector none each image is one face.")
    part = load_faces(explainer.model, data, dataset).split(split)
    searched = part.subset(sample_rows(part.labels, faces))
    nearest, distances = find_neighbours(_features(explainer, crops), _features(explainer, searched.images), k)
    appears = [face for result in recognizer.classify(images_found) for face in result.faces]
    annotations = searched.label_set.names
    rows = [
        {
            "face": name,
            "label": appears[i].label,
            "probability": round(appears[i].confidence, 6),
            "unsure": appears[i].is_unsure,
            "neighbours": [
                {"row": row, "label": annotations[searched.labels[row]], "distance": round(distance, 6)}
                for row, distance in zip(nearest[i].tolist(), distances[i].tolist(), strict=True)
            ],
        }
        for i, name in enumerate(names)
    ]
    shown = [{**row, "label": face.wording} for row, face in zip(rows, appears, strict=True)]
    if files:
        note = f"{explainer.card.name}: nearest of {len(searched)} faces of {searched.name} {split} by cosine distance "
        save_figure(lambda: draw_neighbours(crops, shown, searched.images, f"{note}(0 to 2)."), files)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _print(shown)
    for file in files:
        typer.echo(f"Figure: {file}", err=True)
    failures.finish()


def _features(explainer: TorchExplainer, images: Any) -> NDArray[np.float32]:
    import numpy as np

    from mien.core.image import to_batch

    batches = []
    with show_progress(len(images)) as progress:
        for start in range(0, len(images), BATCH):
            crops = list(images[start : start + BATCH])
            batches.append(explainer.compute_features(to_batch(crops, explainer.card.input)))
            progress(len(crops))
    return np.concatenate(batches)


def _print(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("face", "appears", "neighbours: annotation and distance", box=box.SIMPLE_HEAD)
    for row in rows:
        near = ", ".join(f"{one['label']} {one['distance']:.3f}" for one in row["neighbours"])
        table.add_row(escape(row["face"]), f"{row['label']} {percent(row['probability'])}", near)
    Console().print(table)
