"""Draw the galleries of the papers' pages: maps of several networks, methods or parts side by side.

Usage: python -m lab.gallery RUN... -o NAME [options]; see --help and docs/faithfulness.md. Examples in papers:
SPAYOLO's Fig. 6 (full, without Fourier transform, without multi-scale branch), HFC's Fig. 9 (plain and with attention),
DAF-MHSCA's Fig. 7 (annotated and predicted label below each map).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from mien.apps.data_sets import load_faces
from mien.core.image import to_batch
from mien.core.text import percent
from mien.data.dataset import FaceDataset
from mien.explain.faces import load_explainer
from mien.explain.figures import (
    INK,
    SOFT,
    check_figure_paths,
    save_figure,
    scaled_map,
    show_face,
    show_map,
    show_values,
)
from mien.explain.methods import PARTS, STAGE_METHODS, Explainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL, LINE = 1.35, 0.14  # inches: side of a map, height of a line of the notes
# Colours of right and wrong predictions: a pair that is safe for colour blindness, and DAF-MHSCA's. Marks repeat them.
COLOURS = {"blue-orange": ("#0072B2", "#D55E00"), "green-red": ("#2E7D32", "#C62828")}


class Cell(NamedTuple):
    """One map (h, w) over one face, or the mean over several; `is_right` is None for a mean."""

    face: NDArray[np.uint8]
    values: NDArray[np.float32]
    is_signed: bool
    is_spatial: bool
    caption: str
    is_right: bool | None
    grid: tuple[int, ...]


def draw(  # noqa: PLR0913, PLR0917 - the options of a command
    models: Annotated[list[str], typer.Argument(help="Run folders, names or .onnx files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help=".png or .svg file; both without an extension.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set by name.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="As in `mien explain`. Repeatable.")] = None,
    layer: Annotated[str | None, typer.Option(help="Stage to explain [default: the last].")] = None,
    part: Annotated[list[str] | None, typer.Option(help="Draw a part's own map. Repeatable.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="A model's name in the figure. Repeatable.")] = None,
    mean: Annotated[bool, typer.Option("--mean", help="Draw the mean map of many faces over the mean face.")] = False,
    faces: Annotated[int, typer.Option(min=1, help="With --mean: faces per row.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the drawn faces.")] = 0,
    colours: Annotated[str, typer.Option(help=f"{' or '.join(COLOURS)}: right and wrong labels.")] = "blue-orange",
) -> None:
    """Draw one row per expression of the validation split and one column per model, method or part."""
    files = check_figure_paths([out])
    explainers = [load_explainer(model) for model in models]
    names = name or [explainer.card.name for explainer in explainers]
    wanted = [(word, layer if word in STAGE_METHODS else None) for word in method or ([] if part else ["gradcam"])]
    wanted += [(PARTS, word) for word in part or []]
    words = [
        word if kind == PARTS else f"{kind} at {word or 'the last stage'}" if kind in STAGE_METHODS else kind
        for kind, word in wanted
    ]
    columns: list[list[Cell]] = []
    notes = []
    for explainer, own_name in zip(explainers, names, strict=True):
        split = load_faces(explainer.model, data, dataset).split("validation")
        order = np.random.default_rng(seed).permutation(len(split))
        classes = range(len(split.label_set))
        drawn = {i: order[split.labels[order] == i][: faces if mean else 1] for i in classes}
        rows = {split.label_set.names[i]: chosen for i, chosen in drawn.items() if len(chosen)}
        own = [[make_cell(explainer, split, chosen, *one) for chosen in rows.values()] for one in wanted]
        columns += own
        sizes = ", ".join(f"{w} {' x '.join(map(str, cells[0].grid))}" for w, cells in zip(words, own, strict=True))
        score = describe_score(explainer.card.scores)
        notes.append(f"{own_name}: {explainer.card.network}, {score}; size of the maps: {sizes}.")
    kind = "each map is the mean over the row's faces" if mean else "one face per row"
    notes.append(
        f"{split.name} validation: {sum(map(len, rows.values()))} faces drawn with seed {seed}, {kind}. Rows are "
        "annotations of apparent expressions; a map explains the predicted label. Each is scaled to its own maximum; "
        "the line is at half of it."
    )
    # a heading says only what differs between columns
    several = len(names) > 1
    title = words[0] if len(words) == 1 else "Explanation maps" if several else names[0]
    headings = [
        f"{own_name}: {w}" if several and len(words) > 1 else own_name if len(words) == 1 else w
        for own_name in names
        for w in words
    ]
    save_figure(lambda: make_figure(title, list(rows), headings, columns, notes, COLOURS[colours]), files)
    typer.echo("\n".join(map(str, files)))


def make_cell(explainer: Explainer, split: FaceDataset, rows: NDArray[np.intp], method: str, layer: str | None) -> Cell:
    """Return the map of one face, or the mean of several over their mean face; there each map is scaled to 1 first."""
    faces = np.asarray(split.images[rows])
    images = to_batch(list(faces), explainer.card.input)
    probabilities = explainer.predict(images)
    labels = probabilities.argmax(axis=1)
    maps = explainer.explain(images, method, layer, labels.tolist())
    values = np.stack([one.resized(*faces.shape[1:3]) for one in maps])
    is_signed = any(one.is_signed for one in maps)
    predicted = [explainer.labels[label] for label in labels]
    right = [p == split.label_set.names[label] for p, label in zip(predicted, split.labels[rows], strict=True)]
    kind = (is_signed, maps[0].is_spatial)
    if len(rows) == 1:
        caption = f"{predicted[0]} {percent(float(probabilities[0].max()))}"
        return Cell(faces[0], values[0], *kind, caption, right[0], maps[0].values.shape)
    face = np.rint(faces.mean(axis=0)).astype(np.uint8)
    shown = np.mean([scaled_map(one, is_signed=is_signed) for one in values], axis=0).astype(np.float32)
    return Cell(face, shown, *kind, f"mean of {len(rows)}, {sum(right)} right", None, maps[0].values.shape)


def describe_score(scores: dict[str, object]) -> str:
    """Return a card's accuracy in words, with the split and how the weights were chosen."""
    if not isinstance(scores.get("accuracy"), float):
        return "accuracy not measured"
    rule = scores["selection"]["rule"]
    return f"accuracy {percent(scores['accuracy'], 2)} on {scores['dataset']} {scores['split']} ({rule})"


def make_figure(  # noqa: PLR0913, PLR0917 - the words and the maps
    title: str,
    rows: Sequence[str],
    headings: Sequence[str],
    columns: Sequence[Sequence[Cell]],
    notes: Sequence[str],
    colours: tuple[str, str] = COLOURS["blue-orange"],
) -> Figure:
    """Return the figure: faces on the left, maps to the right, captions in the colours of right and wrong."""
    from matplotlib.figure import Figure

    count = len(columns) + 1
    width = CELL * count + 0.9
    lines = [line for note in notes for line in textwrap.wrap(note, round(width * 19))]
    wrapped = ["face", *("\n".join(textwrap.wrap(words, 22)) for words in headings)]
    top = 0.35 + LINE * max(heading.count("\n") + 1 for heading in wrapped)
    bottom = 0.25 + LINE * len(lines)
    height = (CELL + 0.12) * len(rows) + top + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(rows), count, left=0.75 / width, right=1 - 0.1 / width, top=1 - top / height, bottom=bottom / height,
        wspace=0.06, hspace=0.2,
    )  # fmt: skip
    for i, label in enumerate(rows):
        axis = figure.add_subplot(grid[i, 0])
        show_face(axis, columns[0][i].face)
        axis.set_ylabel(label, fontsize=9, color=INK)
        for j, cell in enumerate((column[i] for column in columns), 1):
            axis = figure.add_subplot(grid[i, j])
            if cell.is_spatial:
                show_map(axis, cell.face, cell.values, is_signed=cell.is_signed)
            else:
                show_values(axis, cell.values)
            colour, mark = {
                True: (colours[0], " \N{CHECK MARK}"),
                False: (colours[1], " \N{BALLOT X}"),
                None: (SOFT, ""),
            }[cell.is_right]
            caption = cell.caption + mark + ("" if cell.values.any() else ", empty map")
            axis.set_xlabel(caption, fontsize=7, labelpad=2, color=colour)
    for axis, heading in zip(figure.axes[:count], wrapped, strict=True):
        axis.set_title(heading, fontsize=7.5, color=INK)
    figure.text(0.02, 1 - 0.05 / height, title, fontsize=10, va="top", color=INK)
    figure.text(0.02, 0.05 / height, "\n".join(lines), fontsize=6.5, va="bottom", color=SOFT)
    return figure


if __name__ == "__main__":
    typer.run(draw)
