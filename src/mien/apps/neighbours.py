"""`mien neighbours`: the training faces that a network considers most similar to given faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.data_sets import DataOption, DatasetOption, load_faces, show_progress
from mien.apps.options import DetectorName, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.text import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.data.dataset import FaceDataset
    from mien.explain.torch_explainer import TorchExplainer

# t-SNE of more points shows no more and takes minutes.
PLANE_FACES = 2000
BATCH = 64


def neighbours(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: Annotated[Path, typer.Argument(help="Run folder; an .onnx file does not give features.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Images; all faces in them are looked up.")],
    data: DataOption = None,
    dataset: DatasetOption = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    k: Annotated[int, typer.Option(min=1, max=50, help="Neighbours per face.")] = 8,
    faces: Annotated[int, typer.Option(min=1, help="Faces of the split to search, drawn by label.")] = 5000,
    out: Annotated[
        list[Path] | None, typer.Option("--out", "-o", help="Draw strips: .png or .svg; both without an extension.")
    ] = None,
    plane: Annotated[
        list[Path] | None, typer.Option(help="Draw the searched faces' features by t-SNE: .png or .svg.")
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
    from mien.explain.neighbours import describe_neighbours, draw_neighbours, find_faces, find_neighbours
    from mien.inference.recognizer import Recognizer
    from mien.inference.sources import expand_source

    strips, planes = check_figure_paths(out or []), check_figure_paths(plane or [])
    if not model.is_dir():
        raise ModelError(f"{model} is not a run folder; neighbours require a network's features.")
    from mien.explain.torch_explainer import load_run_explainer
    from mien.training.experiment import sample_rows

    explainer = load_run_explainer(model, threads)
    recognizer = Recognizer(explainer.model, detector)
    given = find_faces(recognizer, (path for source in images for path in expand_source(source)))
    if given is None:
        raise ImageError(f"No faces detected in {', '.join(images)}; with --detector none each image is one face.")
    part = load_faces(explainer.model, data, dataset).split(split)
    searched = part.subset(sample_rows(part.labels, faces))
    features, queries = _features(explainer, searched.images), _features(explainer, given.crops)
    rows = describe_neighbours(given, find_neighbours(queries, features, k), searched.labels, searched.label_set)
    if strips:
        where = f"{len(searched)} faces of {searched.name} {split}"
        note = f"{explainer.card.name}: nearest of {where} by cosine distance (0 to 2)."
        save_figure(lambda: draw_neighbours(given, rows, searched, note), strips)
    if planes:
        _draw_plane(explainer, searched, (features, queries), planes)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _print(rows)
    for file in (*strips, *planes):
        typer.echo(f"Figure: {file}", err=True)


def _features(explainer: TorchExplainer, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    import numpy as np

    from mien.core.image import to_batch

    batches = []
    with show_progress(len(images)) as progress:
        for start in range(0, len(images), BATCH):
            crops = list(images[start : start + BATCH])
            batches.append(explainer.compute_features(to_batch(crops, explainer.card.input)))
            progress(len(crops))
    return np.concatenate(batches)


def _draw_plane(
    explainer: TorchExplainer,
    searched: FaceDataset,
    features: tuple[NDArray[np.float32], NDArray[np.float32]],
    files: tuple[Path, ...],
) -> None:
    """Draw features in the plane: at most `PLANE_FACES` of the searched faces, and the given ones as stars."""
    import numpy as np

    from mien.apps.report import embed_features
    from mien.evaluation.predict import match_labels, predict_scores
    from mien.explain.embedding import confident_mistakes, draw_plane
    from mien.explain.figures import save_figure
    from mien.training.experiment import sample_rows

    rows = sample_rows(searched.labels, PLANE_FACES)
    shown, given = searched.subset(rows), features[1]
    scores = predict_scores(explainer.model, shown)
    mistakes = confident_mistakes(match_labels(scores.probabilities, explainer.card, shown.label_set), shown.labels)
    positions = embed_features(np.concatenate([features[0][rows], given]))
    labels = np.concatenate([shown.labels, np.full(len(given), -1)])
    is_mistake = np.concatenate([mistakes, np.zeros(len(given), dtype=bool)])
    note = (
        f"t-SNE of the features of {len(shown)} faces of {shown.name} {shown.splits[0]}, coloured by annotation. "
        "Distances between far groups mean nothing."
    )
    save_figure(
        lambda: draw_plane(positions, labels, is_mistake, shown.label_set, title=explainer.card.name, notes=note), files
    )


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
