"""The maps a network's own parts weight by: gates, masks and attention, collected by `models/layers/observing.py`.

Such a map shows what a part lets through; it belongs to no class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.explain.maps import ExplanationMap, Pair
from mien.explain.methods import check_name

# Parts that are negative where they suppress a position; all others are gates from 0 to 1, or magnitudes.
SIGNED = ("high_frequencies", "spatial_score")
SPECTRUM, VALUES, ATTENTION, ATTENDED = "spectrum", "values", "attention", "attended"


@dataclass(frozen=True)
class Observed:
    """The output of one part of a network for n faces.

    Attributes:
        name: Its path: `stage3/spam/attention`.
        stage: The stage it works on.
        tensor: (n, c, h, w) at the stage's positions, or (n, hw, hw) for attention between positions.
        size: Height and width of the stage's map.
    """

    name: str
    stage: str
    tensor: NDArray[np.float32]
    size: tuple[int, int]

    @property
    def part(self) -> str:
        """The last word of the name."""
        return self.name.rpartition("/")[2]


def part_maps(observed: Sequence[Observed], grids: Mapping[str, tuple[Pair, Pair]]) -> list[list[ExplanationMap]]:
    """Return the parts' maps of each face, in the order in which the network computes them.

    Channels are averaged; those of a spectrum and of plain values by magnitude. A spectrum is ln(1 + magnitude) with
    the zero frequency in the centre. Attention between positions (SPAM) becomes two maps: `attention`, how much a
    position attends on average, and `attended`, how much it is attended to. The latter are frequencies if the module
    works on a spectrum.

    Args:
        observed: The parts' outputs.
        grids: `step` and `first` of each stage's map, as in `ExplanationMap`.
    """
    frequencies = {one.stage for one in observed if one.part == SPECTRUM}
    faces: list[list[ExplanationMap]] = [[] for _ in range(len(observed[0].tensor))] if observed else []
    for one in observed:
        for name, values, is_spatial in _maps_of(one, use_frequencies=one.stage in frequencies):
            step, first = grids[one.stage] if is_spatial else (None, None)
            is_signed = one.part in SIGNED or bool((values < 0).any())
            for face, own in zip(faces, values, strict=True):
                face.append(
                    ExplanationMap(name, one.stage, "", own, is_signed, step=step, first=first, is_spatial=is_spatial)
                )
    return faces


def choose_part(maps: Sequence[ExplanationMap], wanted: str | None) -> ExplanationMap:
    """Return the map with a name; without a name, the only map.

    Raises:
        ModelError: There is no such map, or no name is given and there are several; the error lists them.
    """
    names = [one.method for one in maps]
    if wanted is not None:
        return maps[names.index(check_name("part", wanted, names))]
    if len(maps) > 1:
        raise ModelError(f"Several parts have maps; name one. Parts: {', '.join(names)}.")
    return maps[0]


def _maps_of(one: Observed, *, use_frequencies: bool) -> list[tuple[str, NDArray[np.float32], bool]]:
    """Return name, maps (n, h, w) and `is_spatial` of each map of one part."""
    tensor = np.asarray(one.tensor, dtype=np.float32)
    if tensor.ndim == 3:  # (n, hw, hw), rows attend to columns
        attended = tensor.mean(axis=1).reshape(-1, *one.size)
        name = one.name.removesuffix(ATTENTION) + ATTENDED
        if use_frequencies:
            attended = np.fft.fftshift(attended, axes=(1, 2))
        return [(one.name, tensor.mean(axis=2).reshape(-1, *one.size), True), (name, attended, not use_frequencies)]
    if one.part == SPECTRUM:
        return [(one.name, np.fft.fftshift(np.log1p(np.abs(tensor).mean(axis=1)), axes=(1, 2)), False)]
    mean = (np.abs(tensor) if one.part == VALUES else tensor).mean(axis=1)
    return [(one.name, mean, True)]
