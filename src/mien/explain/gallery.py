"""Galleries of maps: one row per expression, one column per network, method or part, the same faces in all columns.

Examples in papers: SPAYOLO's Fig. 6 (full, without Fourier transform, without multi-scale branch), HFC's Fig. 9 (plain
and with attention), DAF-MHSCA's Fig. 7 (annotated and predicted label below each map).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.image import to_batch
from mien.core.text import percent
from mien.data.dataset import FaceDataset
from mien.explain.figures import scaled_map
from mien.explain.methods import PARTS, STAGE_METHODS, Explainer
from mien.inference.model import Model

# A method and its layer, or "parts" and a part's name; None: the method's default layer.
MapSpec = tuple[str, str | None]


@dataclass(frozen=True)
class Cell:
    """One map over one face, or the mean over several.

    Attributes:
        face: (h, w) grey or (h, w, 3) RGB, the network's input.
        values: (h, w) the map.
        is_signed: Whether values below 0 are evidence against the class.
        caption: The prediction, or the number of faces and of right predictions.
        is_right: Whether the prediction is the annotation; None for a mean.
        grid: Height and width of the method's own map, before it was resized.
        is_spatial: Whether the values are positions on the face; frequencies are drawn without it.
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
        title: The title.
        rows: The annotated expressions.
        columns: The heading of each column of maps.
        faces: One per row, (h, w) or (h, w, 3): the first column.
        cells: One per row and column.
        notes: Lines below the figure.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    faces: tuple[NDArray[np.uint8], ...]
    cells: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


def build_gallery(  # noqa: PLR0913 - the rows, the columns and their names
    explainers: Sequence[Explainer],
    load: Callable[[Model], FaceDataset],
    maps: Sequence[MapSpec],
    *,
    names: Sequence[str] = (),
    faces: int = 1,
    seed: int = 0,
) -> Gallery:
    """Compute the maps of a gallery.

    Args:
        explainers: The networks.
        load: Returns the faces for a network: the same for all, each in its own size.
        maps: The maps of each network.
        names: The networks' names; empty: those of their cards, numbered if they are equal.
        faces: Faces per row, drawn at random; with more than one, a cell shows the mean.
        seed: Seed of the drawing.

    Raises:
        ModelError: A network has no such map.
        DataError: The faces cannot be loaded.
    """
    names = names or _card_names(explainers)
    columns: list[list[Cell]] = []
    notes = []
    words = [_describe_map(*spec) for spec in maps]
    for explainer, name in zip(explainers, names, strict=True):
        part = load(explainer.model)
        drawn = choose_rows(part.labels, len(part.label_set), faces, seed)
        rows = [row for row in drawn if len(row)]
        own = [[_make_cell(explainer, part, row, *spec) for row in rows] for spec in maps]
        columns += own
        grids = (f"{word} {' x '.join(map(str, cells[0].grid))}" for word, cells in zip(words, own, strict=True))
        score = describe_score(explainer.card.scores)
        notes.append(f"{name}: {explainer.card.network}, {score}; size of the maps: {', '.join(grids)}.")
    kind = "each map is the mean over the row's faces" if faces > 1 else "one face per row"
    notes.append(
        f"{part.name} {part.splits[0]}: {sum(map(len, rows))} faces drawn with seed {seed}, {kind}. Rows are "
        "annotations of apparent expressions; a map explains the predicted label. Each is scaled to its own maximum; "
        "the line is at half of it."
    )
    cells = tuple(tuple(column[i] for column in columns) for i in range(len(rows)))
    return Gallery(
        words[0] if len(words) == 1 else names[0] if len(names) == 1 else "Explanation maps",
        tuple(name for name, row in zip(part.label_set.names, drawn, strict=True) if len(row)),
        make_headings(names, words),
        tuple(cell[0].face for cell in cells),
        cells,
        tuple(notes),
    )


def choose_rows(labels: NDArray[np.int64], classes: int, count: int, seed: int = 0) -> list[NDArray[np.intp]]:
    """Return `count` randomly drawn row numbers of each class.

    Args:
        labels: (n,) the annotated class of each face.
        classes: The number of classes.
        count: Faces per class; all if a class has fewer.
        seed: The same seed draws the same faces, and a larger count adds to those of a smaller one.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    return [order[labels[order] == number][:count] for number in range(classes)]


def describe_score(scores: object) -> str:
    """Return a card's accuracy in words, with the split and how the weights were chosen."""
    if not isinstance(scores, dict) or not isinstance(scores.get("accuracy"), float):
        return "accuracy not measured"
    chosen = scores.get("selection")
    rule = chosen.get("rule") if isinstance(chosen, dict) else chosen
    where = " ".join(str(scores[key]) for key in ("dataset", "split") if scores.get(key))
    return f"accuracy {percent(scores['accuracy'], 2)} on {where or 'its split'}" + (f" ({rule})" if rule else "")


def make_headings(models: Sequence[str], maps: Sequence[str]) -> tuple[str, ...]:
    """Return one heading per column: only what differs between columns."""
    if len(models) == 1 and len(maps) > 1:
        return tuple(maps)
    if len(maps) == 1:
        return tuple(models)
    return tuple(f"{model}: {name}" for model in models for name in maps)


def _card_names(explainers: Sequence[Explainer]) -> list[str]:
    names = [explainer.card.name for explainer in explainers]
    return [f"{name} ({i})" if names.count(name) > 1 else name for i, name in enumerate(names, 1)]


def _describe_map(method: str, layer: str | None) -> str:
    if method == PARTS and layer is not None:
        return layer
    return f"{method} at {layer or 'the last stage'}" if method in STAGE_METHODS else method


def _make_cell(explainer: Explainer, part: FaceDataset, rows: NDArray[np.intp], method: str, layer: str | None) -> Cell:
    """Return the map of one face, or the mean of several over their mean face; there each map is scaled to 1 first."""
    faces = np.asarray(part.images[rows])
    images = to_batch(list(faces), explainer.card.input)
    probabilities = explainer.predict(images)
    labels = probabilities.argmax(axis=1)
    maps = explainer.explain(images, method, layer, labels.tolist())
    values = np.stack([one.resized(*faces.shape[1:3]) for one in maps])
    is_signed = any(one.is_signed for one in maps)
    predicted = [explainer.labels[label] for label in labels]
    right = [name == part.label_set.names[label] for name, label in zip(predicted, part.labels[rows], strict=True)]
    if len(rows) == 1:
        face, shown, is_right = faces[0], values[0], right[0]
        caption = f"{predicted[0]} {percent(float(probabilities[0].max()))}"
    else:
        face, is_right = np.rint(faces.mean(axis=0)).astype(np.uint8), None
        shown = np.stack([scaled_map(one, is_signed=is_signed) for one in values]).mean(axis=0).astype(np.float32)
        caption = f"mean of {len(rows)}, {sum(right)} right"
    height, width = maps[0].values.shape
    is_spatial = all(one.is_spatial for one in maps)
    return Cell(face, shown, is_signed, caption, is_right, (height, width), is_spatial)
