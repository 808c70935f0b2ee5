"""Galleries of maps as the papers print them: a row an expression, a column a network, method or part.

SPAYOLO's Fig. 6 (full, without Fourier transform, without multi-scale branch), HFC's Fig. 9 (plain and with attention)
and DAF-MHSCA's Fig. 7 (annotated and predicted label under each map) are such galleries.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean
from mien.explain.figures import INK, SOFT, scaled_map, show_face, show_map, show_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of right and wrong, by name: two that readers with colour blindness tell apart, and DAF-MHSCA's own. The marks
# say it too.
COLOURS = {"blue-orange": ("#0072B2", "#D55E00"), "green-red": ("#2E7D32", "#C62828")}
RIGHT, WRONG = "\N{CHECK MARK}", "\N{BALLOT X}"
CELL = 1.35  # inches
LINE = 0.14  # inches, of the notes


@dataclass(frozen=True)
class Cell:
    """One map over one face.

    Attributes:
        face: (h, w) grey or (h, w, 3) RGB, what the network saw.
        values: (h, w) the map.
        is_signed: Whether values below 0 speak against the class.
        caption: The predicted label and its probability, or how many faces the mean is of and how many are right.
        is_right: Whether the prediction is the annotation; None where nothing was predicted.
        grid: What the method itself gives: values down and across, before they were brought to the face's size.
        is_spatial: Whether the values lie on the face; frequencies are drawn beside it, without it.
    """

    face: NDArray[np.uint8]
    values: NDArray[np.float32]
    is_signed: bool
    caption: str
    is_right: bool | None = None
    grid: tuple[int, int] = (0, 0)
    is_spatial: bool = True


@dataclass(frozen=True)
class Gallery:
    """What is drawn.

    Attributes:
        title: Above all.
        rows: The annotated expressions.
        columns: What stands above each column of maps.
        faces: One a row, (h, w) or (h, w, 3): the first column.
        cells: One a row and column.
        notes: What was measured, below all; a line each.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    faces: tuple[NDArray[np.uint8], ...]
    cells: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


def choose_rows(labels: NDArray[np.int64], classes: int, count: int, seed: int = 0) -> list[NDArray[np.intp]]:
    """Return `count` row numbers of each class, drawn blindly: nobody picks the faces that look best.

    Args:
        labels: (n,) the annotated class of each face.
        classes: How many classes there are.
        count: Faces wanted of each; all where there are fewer, none where there is none.
        seed: Of the order; the same seed gives the same faces, and more of them keep those of fewer.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    return [order[labels[order] == number][:count] for number in range(classes)]


def mean_cell(faces: NDArray[np.uint8], maps: NDArray[np.float32], right: int, *, is_signed: bool) -> Cell:
    """Return the mean map of several faces over their mean face.

    Each map is scaled to a largest value of 1 first, so that every face counts alike.

    Args:
        faces: (n, h, w) or (n, h, w, 3), at least one.
        maps: (n, h, w).
        right: How many of the faces the network names as they are annotated.
        is_signed: Of the maps.
    """
    if not len(faces):
        raise DataError("A mean map needs one face at least.")
    mean = np.rint(faces.mean(axis=0)).astype(np.uint8)
    values = np.stack([scaled_map(one, is_signed=is_signed) for one in maps]).mean(axis=0)
    return Cell(mean, values.astype(np.float32), is_signed, f"mean of {len(faces)}, {right} right")


def find_colours(name: str) -> tuple[str, str]:
    """Return the colours of right and wrong; `DataError` names the pairs there are."""
    if name not in COLOURS:
        raise DataError(f"No colours named '{name}'.{did_you_mean(name, COLOURS)} Colours: {', '.join(COLOURS)}.")
    return COLOURS[name]


def draw_gallery(gallery: Gallery, colours: tuple[str, str]) -> Figure:
    """Return the figure: faces on the left, maps to the right, captions in the colours of right and wrong."""
    from matplotlib.figure import Figure

    rows, columns = len(gallery.rows), len(gallery.columns) + 1
    width = CELL * columns + 0.9
    notes = [line for note in gallery.notes for line in textwrap.wrap(note, round(width * 19))]
    headings = ["face", *("\n".join(textwrap.wrap(words, 22)) for words in gallery.columns)]
    top = 0.35 + LINE * max(heading.count("\n") + 1 for heading in headings)
    bottom = 0.25 + LINE * len(notes)
    height = (CELL + 0.12) * rows + top + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        rows, columns, left=0.75 / width, right=1 - 0.1 / width, top=1 - top / height, bottom=bottom / height,
        wspace=0.06, hspace=0.2,
    )  # fmt: skip
    for i, (label, face, cells) in enumerate(zip(gallery.rows, gallery.faces, gallery.cells, strict=True)):
        axis = figure.add_subplot(grid[i, 0])
        show_face(axis, face)
        axis.set_ylabel(label, fontsize=9, color=INK)
        for j, cell in enumerate(cells, 1):
            axis = figure.add_subplot(grid[i, j])
            if cell.is_spatial:
                show_map(axis, cell.face, cell.values, is_signed=cell.is_signed)
            else:
                show_values(axis, cell.values)
            axis.set_xlabel(_caption(cell), fontsize=7, labelpad=2, color=_colour(cell, colours))
    for axis, heading in zip(figure.axes[:columns], headings, strict=True):
        axis.set_title(heading, fontsize=7.5, color=INK)
    figure.text(0.02, 1 - 0.05 / height, gallery.title, fontsize=10, va="top", color=INK)
    figure.text(0.02, 0.05 / height, "\n".join(notes), fontsize=6.5, va="bottom", color=SOFT)
    return figure


def describe_score(scores: object) -> str:
    """Return a card's scores in words: the accuracy, on what, and how the weights were chosen."""
    if not isinstance(scores, dict) or not isinstance(scores.get("accuracy"), float):
        return "accuracy not measured"
    chosen = scores.get("selection")
    rule = chosen.get("rule") if isinstance(chosen, dict) else chosen
    where = " ".join(str(scores[key]) for key in ("dataset", "split") if scores.get(key))
    return f"accuracy {100 * scores['accuracy']:.2f} % on {where or 'its split'}" + (f" ({rule})" if rule else "")


def _caption(cell: Cell) -> str:
    mark = {True: f" {RIGHT}", False: f" {WRONG}", None: ""}[cell.is_right]
    return cell.caption + mark + ("" if cell.values.any() else ", empty map")


def _colour(cell: Cell, colours: tuple[str, str]) -> str:
    return {True: colours[0], False: colours[1], None: SOFT}[cell.is_right]


def headings(models: Sequence[str], methods: Sequence[str]) -> tuple[str, ...]:
    """Return one heading a column: what differs between the columns, so that nothing is said twice."""
    if len(models) == 1 and len(methods) > 1:
        return tuple(methods)
    if len(methods) == 1:
        return tuple(models)
    return tuple(f"{model}: {method}" for model in models for method in methods)
