"""Save an explained face: a figure as PNG and SVG, and the maps as numbers."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Box
from mien.core.whole_file import whole_file
from mien.explain.faces import ExplainedFace, ExplainedImage
from mien.explain.figures import INK, SOFT, SUFFIXES, check_figure_paths, save_figure, show_face, show_map, show_values
from mien.explain.maps import ExplanationMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6
CELL = 2.0  # inches
# The image's longer side in a figure, in pixels; an SVG stores all of them.
IMAGE_SIDE = 480
# Side to which a small crop is enlarged under a map, in pixels.
CROP_SIDE = 192
BOX_COLOUR = "#E69F00"  # Okabe and Ito's orange


def prepare_folder(folder: Path) -> None:
    """Create the folder for figures.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_figure_paths([folder / "face"])


def save_face(image: ExplainedImage, number: int, model: str, folder: Path) -> list[Path]:
    """Write a face's figure and maps, named after the image and the face's number; no file is overwritten.

    The .npz holds `maps` (n, size, size) at the crop's pixels, `methods`, `layers`, `labels` and `is_spatial` (n,),
    `crop`, `square` (left, top, width, height of the crop in the image) and `roll` (by how many degrees the square is
    turned around its centre, clockwise).

    Args:
        image: The explained image.
        number: The face, counted from 0.
        model: The network's name, for the title.
        folder: An existing folder.

    Returns:
        The files: .png, .svg and .npz.
    """
    face = image.faces[number]
    stem = f"{Path(image.source).stem or 'image'}-face{number + 1}"
    for i in itertools.count(1):
        name = stem if i == 1 else f"{stem}-{i}"
        paths = [folder / f"{name}{suffix}" for suffix in (*SUFFIXES, ".npz")]
        if not any(path.exists() for path in paths):
            break
    save_figure(lambda: draw_face(image, face, model), paths[:2])
    square = face.square
    with whole_file(paths[2]) as file:
        np.savez_compressed(
            file,
            maps=np.stack([one.resized(*face.crop.shape[:2]) for one in face.maps]),
            methods=np.array([one.method for one in face.maps]),
            layers=np.array([one.layer for one in face.maps]),
            labels=np.array([one.label for one in face.maps]),
            is_spatial=np.array([one.is_spatial for one in face.maps]),
            crop=face.crop,
            square=np.array([square.x, square.y, square.width, square.height]),
            roll=np.array(face.roll),
        )
    return paths


def draw_face(image: ExplainedImage, face: ExplainedFace, model: str) -> Figure:
    """Return the figure: the image, the crop, and each map over both."""
    from matplotlib.figure import Figure

    scale = min(1.0, IMAGE_SIDE / max(image.pixels.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.pixels.shape[:2])
    small = np.asarray(cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    count = 2 + sum(1 + bool(one.label) for one in face.maps)
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(CELL * columns + 0.2, (CELL + 0.35) * rows + 0.5))
    top = 1 - 0.62 / figure.get_figheight()
    grid = figure.add_gridspec(rows, columns, left=0.02, right=0.98, bottom=0.02, top=top, wspace=0.06, hspace=0.22)
    axes = (figure.add_subplot(grid[i // columns, i % columns]) for i in range(count))
    _show_image(next(axes), small, face, scale)
    show_face(next(axes), face.crop, "network input")
    for one in face.maps:
        _show_crop(next(axes), face, one)
        if one.label:  # parts' own maps are compared with each other, so the crop is enough
            _show_on_image(next(axes), small, face, one, scale)
    title, height = f"{model}: appears {face.describe()}", 1 - 0.06 / figure.get_figheight()
    figure.suptitle(title, fontsize=9, color=INK, x=0.02, ha="left", y=height)
    return figure


def _show_image(axis: Axes, small: NDArray[np.uint8], face: ExplainedFace, scale: float) -> None:
    from matplotlib.patches import Rectangle

    show_face(axis, small, "image")
    square = face.square.scaled(scale)
    for colour, linewidth in (("black", 2.2), (BOX_COLOUR, 1.1)):
        # pixel i extends from i - 1/2 to i + 1/2
        corner = (square.x - 0.5, square.y - 0.5)
        look = {"fill": False, "edgecolor": colour, "linewidth": linewidth}
        # the axis of rows points down, so that positive angles are clockwise
        box = Rectangle(corner, square.width, square.height, angle=face.roll, rotation_point="center", **look)
        axis.add_patch(box)


def _show_crop(axis: Axes, face: ExplainedFace, one: ExplanationMap) -> None:
    if one.is_spatial:
        side = max(CROP_SIDE, face.crop.shape[0])
        crop = np.asarray(cv2.resize(face.crop, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        show_map(axis, crop, one.resized(side, side), is_signed=one.is_signed)
    else:
        show_values(axis, one.values)
        axis.set_xlabel("frequencies, 0 in the centre", fontsize=6, color=SOFT, labelpad=2)
    # a part's name includes its stage
    name = f"{one.method}{one.layer and f' at {one.layer}'}: {one.label}" if one.label else one.method
    axis.set_title(name, fontsize=7, color=INK)


def _show_on_image(
    axis: Axes, small: NDArray[np.uint8], face: ExplainedFace, one: ExplanationMap, scale: float
) -> None:
    height, width = small.shape[:2]
    values, is_inside = place_on_image(one, face.square.scaled(scale), height, width, face.roll)
    if is_inside.any() and not one.is_signed:
        values = np.where(is_inside, values, values[is_inside].min())
    show_map(axis, small, values, is_signed=one.is_signed)
    axis.set_title("on the image", fontsize=7, color=INK)


def place_on_image(
    one: ExplanationMap, square: Box, height: int, width: int, roll: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Place the map of a crop in its image.

    Args:
        one: The map.
        square: Where the crop was cut, in pixels of the image; it may reach past the border.
        height: Of the image.
        width: Of the image.
        roll: By how many degrees the square is turned around its centre, clockwise.

    Returns:
        The values (height, width), 0 outside the square, and a mask of the pixels whose centres are inside it.
    """
    if roll:
        return _place_turned(one, square, height, width, roll)
    top, left = -square.y / square.height, -square.x / square.width
    values = one.window((top, left), (top + height / square.height, left + width / square.width), height, width)
    rows, columns = np.arange(height) + 0.5 - square.y, np.arange(width) + 0.5 - square.x
    is_inside = np.outer((rows >= 0) & (rows < square.height), (columns >= 0) & (columns < square.width))
    return np.where(is_inside, values, np.float32(0)), is_inside


def _place_turned(
    one: ExplanationMap, square: Box, height: int, width: int, roll: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    side = max(round(square.width), 1)
    cosine, sine = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    (x, y), step = square.centre, side / square.width
    # (x, y) of the image -> (column, row) of the map with `side` pixels, both counted at pixel centres
    turn = step * np.array([[cosine, sine], [-sine, cosine]])
    first = turn @ np.array([0.5 - x, 0.5 - y]) + side / 2 - 0.5
    matrix, flags = np.column_stack([turn, first]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    placed = cv2.warpAffine(
        one.resized(side, side), matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) @ turn.T + first + 0.5
    is_inside = ((places >= 0) & (places < side)).all(axis=-1)
    return np.where(is_inside, placed, np.float32(0)), is_inside
