"""Draw maps over faces, and write figures as reproducible PNG and SVG files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, MissingExtraError
from mien.core.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
DPI = 160
# Opacity of the strongest evidence; weaker evidence is more transparent.
LARGEST_OPACITY = 0.75
# Lightness grows with the evidence, so that it survives grey printing; Okabe and Ito's blue and orange for signs.
HEAT, SIGNED_HEAT = "inferno", ("#0072B2", "#F7F7F7", "#D55E00")
CONTOUR = 0.5
MOST_PIECES = 5
# Share of the pixels that may exceed the scale of a map.
EXCEEDING = 0.01
INK, SOFT = "#1b1f24", "#57606a"


def check_figure_paths(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files to write: a name without extension stands for a PNG and an SVG.

    Raises:
        DataError: A name has another extension, or its folder does not exist.
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("Saving figures of explanations", "train") from None
    files: list[Path] = []
    for path in paths:
        if path.suffix and path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: expected {' or '.join(SUFFIXES)}, or no extension for both.")
        if not path.parent.is_dir():
            raise DataError(f"{path}: folder {path.parent} does not exist; create it first.")
        files += [path] if path.suffix else [path.with_name(path.name + suffix) for suffix in SUFFIXES]
    return tuple(files)


def save_figure(draw: Callable[[], Figure], paths: Sequence[Path]) -> None:
    """Draw a figure and write it to each file atomically; the same input gives the same bytes.

    Args:
        draw: Returns the figure; called under this function's matplotlib settings.
        paths: .png and .svg files.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with mpl.rc_context({"svg.hashsalt": "mien", "font.size": 8, "text.parse_math": False}):
        figure = draw()
        FigureCanvasAgg(figure)
        for path in paths:
            kind = path.suffix.lower().removeprefix(".")
            with whole_file(path) as file:
                figure.savefig(file, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)


def show_face(axis: Axes, face: NDArray[np.uint8], title: str = "") -> None:
    """Draw a face, (h, w) grey or (h, w, 3) RGB, without ticks."""
    axis.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(SOFT)
        spine.set_linewidth(0.5)
    if title:
        axis.set_title(title, fontsize=8)


def show_map(axis: Axes, face: NDArray[np.uint8], values: NDArray[np.float32], *, is_signed: bool) -> None:
    """Draw a map over a face, with a contour at half of its scale unless it would have many pieces.

    The colours run from the map's minimum to its scale; in a signed map from minus to plus its scale, blue against the
    class and orange for it. A constant map is not drawn.

    Args:
        axis: The axes to draw in.
        face: (h, w) grey or (h, w, 3) RGB.
        values: (h, w), of the size of the face.
        is_signed: Whether values below 0 are evidence against the class.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    grey = face if face.ndim == 2 else np.rint(face @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    show_face(axis, grey)
    strength = scaled_map(values, is_signed=is_signed)
    if not strength.any():
        return
    if is_signed:
        heat = LinearSegmentedColormap.from_list("signed", SIGNED_HEAT)((strength + 1) / 2)
    else:
        heat = colormaps[HEAT](0.25 + 0.65 * strength)
    heat[..., 3] = LARGEST_OPACITY * np.abs(strength)
    axis.imshow(heat, interpolation="nearest")
    above = (strength > CONTOUR).astype(np.uint8)
    # contours around noise would hide the face
    if 0 < cv2.connectedComponents(above)[0] - 1 <= MOST_PIECES and not above.all():
        axis.contour(strength, levels=[CONTOUR], colors="white", linewidths=0.8)


def show_values(axis: Axes, values: NDArray[np.float32]) -> None:
    """Draw a map (h, w) of frequencies, without a face and ticks."""
    axis.imshow(values, cmap=HEAT, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])


def scaled_map(values: NDArray[np.float32], *, is_signed: bool) -> NDArray[np.float64]:
    """Return a map (h, w) scaled for display: to [0, 1], or a signed map to [-1, 1]; all 0 if it is constant.

    The scale is the magnitude that 1 % of the pixels exceed, so that a single pixel does not hide all others.
    """
    exact = np.asarray(values, dtype=np.float64)
    exact = exact if is_signed else exact - exact.min()
    size = np.abs(exact)
    if size.max() <= 1e-6 * float(np.abs(values).max(initial=0.0)):
        return np.zeros(exact.shape)
    scale = float(np.quantile(size, 1 - EXCEEDING)) or float(size.max())
    return np.clip(exact / scale, -1, 1)
