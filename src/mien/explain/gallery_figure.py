"""Draw a gallery of maps."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mien.explain.figures import INK, SOFT, show_face, show_map, show_values
from mien.explain.gallery import Cell, Gallery

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of right and wrong predictions: a pair that is safe for colour blindness, and DAF-MHSCA's. Marks repeat them.
COLOURS = {"blue-orange": ("#0072B2", "#D55E00"), "green-red": ("#2E7D32", "#C62828")}
RIGHT, WRONG = "\N{CHECK MARK}", "\N{BALLOT X}"
CELL = 1.35  # inches
LINE = 0.14  # inches, of the notes


def draw_gallery(gallery: Gallery, colours: tuple[str, str] = COLOURS["blue-orange"]) -> Figure:
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
            colour = {True: colours[0], False: colours[1], None: SOFT}[cell.is_right]
            axis.set_xlabel(_caption(cell), fontsize=7, labelpad=2, color=colour)
    for axis, heading in zip(figure.axes[:columns], headings, strict=True):
        axis.set_title(heading, fontsize=7.5, color=INK)
    figure.text(0.02, 1 - 0.05 / height, gallery.title, fontsize=10, va="top", color=INK)
    figure.text(0.02, 0.05 / height, "\n".join(notes), fontsize=6.5, va="bottom", color=SOFT)
    return figure


def _caption(cell: Cell) -> str:
    mark = {True: f" {RIGHT}", False: f" {WRONG}", None: ""}[cell.is_right]
    return cell.caption + mark + ("" if cell.values.any() else ", empty map")
