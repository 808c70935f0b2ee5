"""`mien neighbours`: the training faces that a network takes to be most like a given one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.options import DetectorName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.data.dataset import FaceDataset
    from mien.explain.neighbours import Neighbours
    from mien.explain.torch_explainer import TorchExplainer
    from mien.training.run import Run

    Floats = NDArray[np.floating[Any]]

# t-SNE of more points shows no more and takes minutes.
PLANE_FACES = 2000
PLANE_BATCH = 256


@dataclass(frozen=True)
class Given:
    """The faces that neighbours are sought of: crops (m, size, size[, 3]), their names, and what the network says."""

    crops: NDArray[np.uint8]
    names: list[str]
    probabilities: NDArray[np.float32]


def neighbours(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Annotated[Path, typer.Argument(help="Run folder: an .onnx file does not give its features.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures; every face in them is looked up.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set by name [default: what --data holds].")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    k: Annotated[int, typer.Option(min=1, max=50, help="Neighbours of each face.")] = 8,
    faces: Annotated[int, typer.Option(min=1, help="Search so many of the split's faces, drawn by label.")] = 5000,
    out: Annotated[
        list[Path] | None, typer.Option("--out", "-o", help="Draw strips: .png or .svg; without an ending both.")
    ] = None,
    plane: Annotated[
        list[Path] | None, typer.Option(help="Draw the searched faces' features by t-SNE: .png or .svg.")
    ] = None,
    detector: DetectorName = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show the faces of a data set whose features lie nearest to those of given faces, by cosine distance."""
    import json

    from mien.apps.evaluate import load_faces
    from mien.explain.figures import check_figure_paths
    from mien.explain.neighbours import find_neighbours
    from mien.training.experiment import sample_rows

    strips, planes = check_figure_paths(out or []), check_figure_paths(plane or [])
    run, explainer = _load(model, threads)
    given = _find_faces(explainer, images, detector)
    part = load_faces(explainer.model, data, dataset).split(split)
    known = part.subset(sample_rows(part.labels, faces))
    features, queries = _features(run, known), _features(run, _as_dataset(given, known))
    rows = _describe(explainer, given, find_neighbours(queries, features, k), known)
    if strips:
        note = (
            f"{explainer.card.name}: nearest of {len(known)} faces of {known.name} {split} by cosine distance (0 to 2)."
        )
        _draw_strips(given, rows, known, note, strips)
    if planes:
        _draw_plane(explainer, known, (features, queries), planes)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _print(rows)
    for file in (*strips, *planes):
        typer.echo(f"Figure: {file}", err=True)


def _load(model: Path, threads: int) -> tuple[Run, TorchExplainer]:
    """Load a run folder; an .onnx file is refused with what to name instead."""
    from mien.core.errors import ModelError

    if not model.is_dir():
        raise ModelError(
            f"{model} is no run folder. Neighbours are found by a network's features, which an .onnx file does not "
            "give; name the folder that `mien train` wrote."
        )
    import torch

    from mien.explain.torch_explainer import TorchExplainer
    from mien.training.run import load_run, run_card

    torch.set_num_threads(threads)
    run = load_run(model)
    return run, TorchExplainer(run.network, run_card(run), str(model))


def _find_faces(explainer: TorchExplainer, images: list[str], detector: str) -> Given:
    """Cut every face out of the pictures, from left to right.

    Raises:
        ImageError: A picture cannot be read, or there is no face in any.
    """
    import numpy as np

    from mien.core.errors import ImageError
    from mien.inference.recognizer import Recognizer
    from mien.inference.sources import expand_source

    recognizer = Recognizer(explainer.model, detector)
    crops, names = [], []
    for path in (path for source in images for path in expand_source(source)):
        found = recognizer.find(path).crops
        crops += found
        names += [path.name if len(found) == 1 else f"{path.name} ({i})" for i in range(1, len(found) + 1)]
    if not crops:
        raise ImageError(f"No face was found in {', '.join(images)}; --detector none takes each picture as a face.")
    return Given(np.stack(crops), names, recognizer.score(crops).probabilities)


def _as_dataset(given: Given, known: FaceDataset) -> FaceDataset:
    """Return given faces in the shape that features are computed from; they have no label, so all have the first."""
    import numpy as np

    from mien.data.dataset import FaceDataset

    count = len(given.crops)
    return FaceDataset(
        "given", given.crops, np.zeros(count, dtype=np.int64), np.array(["test"] * count), known.label_set
    )


def _features(run: Run, faces: FaceDataset) -> Floats:
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    from mien.training.experiment import FEATURES_BATCH, compute_features

    starts = range(0, len(faces), FEATURES_BATCH)
    bar = track(starts, "Features", console=Console(stderr=True), transient=True)
    batches = [np.arange(start, min(start + FEATURES_BATCH, len(faces))) for start in bar]
    return np.concatenate([compute_features(run, faces.subset(rows)) for rows in batches])


def _describe(
    explainer: TorchExplainer, given: Given, found: tuple[Neighbours, ...], known: FaceDataset
) -> list[dict[str, Any]]:
    """Return what is known of each face and its neighbours, JSON-ready; `row` counts in the searched split."""
    names = known.label_set.names
    return [
        {
            "face": name,
            "label": explainer.labels[chances.argmax()],
            "probability": round(float(chances.max()), 6),
            "neighbours": [
                {"row": int(row), "label": names[known.labels[row]], "distance": round(float(distance), 6)}
                for row, distance in zip(one.rows, one.distances, strict=True)
            ],
        }
        for name, chances, one in zip(given.names, given.probabilities, found, strict=True)
    ]


def _draw_strips(
    given: Given, rows: list[dict[str, Any]], known: FaceDataset, note: str, files: tuple[Path, ...]
) -> None:
    import numpy as np

    from mien.explain.figures import save_figure
    from mien.explain.neighbours import draw_neighbours

    captions = [f"{row['face'][:24]}\n{row['label']} {row['probability']:.0%}" for row in rows]
    strips = []
    for row in rows:
        near = row["neighbours"]
        pictures = np.asarray(known.images[[one["row"] for one in near]])
        strips.append((pictures, [f"{one['label']}\n{one['distance']:.3f}" for one in near]))
    save_figure(lambda: draw_neighbours(list(given.crops), captions, strips, note), files)


def _draw_plane(
    explainer: TorchExplainer, known: FaceDataset, features: tuple[Floats, Floats], files: tuple[Path, ...]
) -> None:
    """Draw features in the plane: at most `PLANE_FACES` of the searched faces, and the given ones as stars."""
    import numpy as np

    from mien.apps.report import embed_features
    from mien.core.image import to_batch
    from mien.explain.embedding import Plane, confident_mistakes, draw_plane
    from mien.explain.figures import save_figure
    from mien.training.experiment import sample_rows

    searched, queries = features
    rows = sample_rows(known.labels, PLANE_FACES)
    shown = known.subset(rows)
    batches = np.array_split(np.arange(len(shown)), max(len(shown) // PLANE_BATCH, 1))
    chances = np.concatenate(
        [explainer.predict(to_batch(list(shown.images[batch]), explainer.card.input)) for batch in batches]
    )
    columns = known.label_set.columns_from(explainer.card.labels)
    mistakes = confident_mistakes(chances[:, columns], shown.labels)
    together = np.concatenate([searched[rows], queries]).astype(np.float32)
    labels = np.concatenate([shown.labels, np.full(len(queries), -1)])
    marked = np.concatenate([mistakes, np.zeros(len(queries), dtype=bool)])
    plane = Plane(embed_features(together), labels, marked, known.label_set)
    note = (
        f"t-SNE of the features of {len(shown)} faces of {known.name} {known.splits[0]}, coloured by annotation. "
        "Distances between far groups mean nothing."
    )
    save_figure(lambda: draw_plane(plane, explainer.card.name, note), files)


def _print(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("face", "appears", "neighbours: annotation and distance", box=box.SIMPLE_HEAD)
    for row in rows:
        near = ", ".join(f"{one['label']} {one['distance']:.3f}" for one in row["neighbours"])
        table.add_row(escape(row["face"]), f"{row['label']} {row['probability']:.0%}", near)
    Console().print(table)
