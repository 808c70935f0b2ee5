"""`mien gallery`: maps of many networks or methods side by side, a row an expression."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.data.dataset import FaceDataset
    from mien.explain.gallery import Cell, Gallery
    from mien.explain.methods import Explainer


@dataclass(frozen=True)
class Choice:
    """What the columns show and the rows are of.

    Attributes:
        methods: (method, layer or part's name) of each column of a model; the layer None for the method's own choice.
        split: Of the data set.
        seed: Draws the faces.
        faces: Faces a row; 1 shows that face, more show their mean.
    """

    methods: tuple[tuple[str, str | None], ...]
    split: str
    seed: int
    faces: int


def gallery(  # noqa: PLR0913, PLR0917 - one parameter an option
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Run folders, names or .onnx files.")],
    out: Annotated[
        list[Path], typer.Option("--out", "-o", help=".png or .svg file; without an ending both. Repeatable.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set by name [default: what --data holds].")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    method: Annotated[
        list[str] | None, typer.Option(help="A method of `mien explain` [default: the models' first]. Repeatable.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Stage that the methods look at [default: the last].")] = None,
    part: Annotated[
        list[str] | None, typer.Option(help="A part's own map, as `mien explain` names it. Repeatable.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="What to call a model, one each [default: its own name]. Repeatable.")
    ] = None,
    mean: Annotated[bool, typer.Option("--mean", help="The mean map of many faces a row, over their mean.")] = False,
    faces: Annotated[int, typer.Option(min=1, help="With --mean: faces a row.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Draws the faces.")] = 0,
    colours: Annotated[
        str, typer.Option(metavar="blue-orange|green-red", help="Of right and wrong predictions.")
    ] = "blue-orange",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Draw a gallery: a row an expression, a column a model, method or part; the same faces in all columns.

    Maps are of the label that each network predicts; it stands below, marked as right or wrong. The faces are drawn
    blindly, and what was measured is written on the figure.
    """
    from mien.core.errors import DataError
    from mien.explain.figures import check_figure_paths, save_figure
    from mien.explain.gallery import draw_gallery, find_colours
    from mien.explain.methods import PARTS, STAGE_METHODS, load_explainer

    files, pair = check_figure_paths(out), find_colours(colours)
    if name is not None and len(name) != len(models):
        raise DataError(f"{len(name)} names were given for {len(models)} models; give one each, or none.")
    explainers = [load_explainer(model, threads) for model in models]
    asked = method or ([] if part else explainers[0].methods[:1])
    chosen = [(word, layer if word in STAGE_METHODS else None) for word in asked]
    chosen += [(PARTS, word) for word in part or []]
    choice = Choice(tuple(chosen), split, seed, faces if mean else 1)
    drawn = _build(explainers, name or _names(explainers), (data, dataset), choice)
    save_figure(lambda: draw_gallery(drawn, pair), files)
    typer.echo("\n".join(map(str, files)))


def _names(explainers: list[Explainer]) -> list[str]:
    """Return the models' names; those that say the same get a number."""
    names = [explainer.card.name for explainer in explainers]
    return [f"{name} ({i + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _build(
    explainers: list[Explainer], names: list[str], source: tuple[Path | None, str | None], choice: Choice
) -> Gallery:
    import numpy as np

    from mien.apps.evaluate import load_faces
    from mien.explain.gallery import Gallery, choose_rows, describe_score, headings

    columns: list[list[Cell]] = []
    notes = []
    words = [_words(*pair) for pair in choice.methods]
    for explainer, name in zip(explainers, names, strict=True):
        part = load_faces(explainer.model, *source).split(choice.split)
        drawn = choose_rows(part.labels, len(part.label_set), choice.faces, choice.seed)
        rows = [row for row in drawn if len(row)]
        own = [[_cell(explainer, part, row, *pair) for row in rows] for pair in choice.methods]
        columns += own
        grids = (f"{word} {' x '.join(map(str, cells[0].grid))}" for word, cells in zip(words, own, strict=True))
        score = describe_score(explainer.card.scores)
        notes.append(f"{name}: {explainer.card.network}, {score}; values of a map: {', '.join(grids)}.")
    labels = tuple(name for name, row in zip(part.label_set.names, drawn, strict=True) if len(row))
    cells = tuple(tuple(column[i] for column in columns) for i in range(len(rows)))
    shown = [cell[0].face if choice.faces > 1 else part.images[row[0]] for cell, row in zip(cells, rows, strict=True)]
    title = words[0] if len(words) == 1 else names[0] if len(names) == 1 else "Explanation maps"
    about = _describe(part.name, sum(map(len, rows)), choice)
    faces = tuple(np.asarray(face) for face in shown)
    return Gallery(title, labels, headings(names, words), faces, cells, (*notes, about))


def _describe(dataset: str, count: int, choice: Choice) -> str:
    """Return what the rows are of, in words."""
    kind = "each map the mean over the row's faces" if choice.faces > 1 else "one face a row"
    return (
        f"{dataset} {choice.split}: {count} faces, drawn with seed {choice.seed}, {kind}. Apparent expressions: rows "
        "are annotations; a map is of the label that the network predicts. Each is scaled to its own largest values, "
        "with a line at half of them."
    )


def _words(method: str, layer: str | None) -> str:
    """Return what a map is, in words: the method and where it looks."""
    from mien.explain.methods import PARTS, STAGE_METHODS

    if method == PARTS and layer is not None:
        return layer
    return f"{method} at {layer or 'the last stage'}" if method in STAGE_METHODS else method


def _cell(explainer: Explainer, part: FaceDataset, rows: NDArray[np.intp], method: str, layer: str | None) -> Cell:
    """Return the map of one face, or the mean of several."""
    import numpy as np

    from mien.core.image import to_batch
    from mien.explain.gallery import Cell, mean_cell

    faces = np.asarray(part.images[rows])
    images = to_batch(list(faces), explainer.card.input)
    probabilities = explainer.predict(images)
    labels = probabilities.argmax(axis=1)
    maps = explainer.explain(images, method, layer, labels.tolist())
    values = np.stack([one.resized(*faces.shape[1:3]) for one in maps])
    is_signed = any(one.is_signed for one in maps)
    grid = (maps[0].values.shape[0], maps[0].values.shape[1])
    is_spatial = all(one.is_spatial for one in maps)
    predicted = [explainer.labels[label] for label in labels]
    annotated = [part.label_set.names[label] for label in part.labels[rows]]
    if len(rows) > 1:
        right = sum(map(str.__eq__, predicted, annotated))
        return replace(mean_cell(faces, values, right, is_signed=is_signed), grid=grid, is_spatial=is_spatial)
    caption = f"{predicted[0]} {probabilities[0].max():.0%}"
    return Cell(faces[0], values[0], is_signed, caption, predicted == annotated, grid, is_spatial)
