"""The maps of a network's own parts: gates, masks and attention, collected by `models/layers/observing.py`.

Such a map shows what a part lets through; it belongs to no class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.explain.maps import ExplanationMap, Pair

# Parts that are negative where they suppress a position; all others are gates from 0 to 1, or magnitudes.
SIGNED = ("high_frequencies", "spatial_score")
SPECTRUM, VALUES, ATTENTION, ATTENDED = "spectrum", "values", "attention", "attended"


def part_maps(
    outputs: Mapping[str, tuple[str, NDArray[np.float32]]],
    sizes: Mapping[str, Sequence[int]],
    grids: Mapping[str, tuple[Pair, Pair]],
) -> list[list[ExplanationMap]]:
    """Return the parts' maps of each of n faces, in the order in which the network computes them.

    Channels are averaged; those of a spectrum and of plain values by magnitude. A spectrum is ln(1 + magnitude) with
    the zero frequency in the centre. Attention between positions (SPAM) becomes two maps: `attention`, how much a
    position attends on average, and `attended`, how much it is attended to. The latter are frequencies if the module
    works on a spectrum.

    Args:
        outputs: By the part's path, such as `stage3/spam/attention`: the stage it works on, and its output (n, c, h, w)
            at the stage's positions, or (n, hw, hw) for attention between positions.
        sizes: Height and width of each stage's map.
        grids: `step` and `first` of each stage's map, as in `ExplanationMap`.
    """
    spectral = {stage for path, (stage, _) in outputs.items() if path.endswith(SPECTRUM)}
    by_part = []
    for path, (stage, values) in outputs.items():
        part = path.rpartition("/")[2]
        if values.ndim == 3:  # rows attend to columns
            attends, attended = (values.mean(axis=axis).reshape(-1, *sizes[stage]) for axis in (2, 1))
            name = path.removesuffix(ATTENTION) + ATTENDED
            maps = [(path, attends, False), (name, attended, stage in spectral)]
        elif part == SPECTRUM:
            maps = [(path, np.log1p(np.abs(values).mean(axis=1)), True)]
        else:
            maps = [(path, (np.abs(values) if part == VALUES else values).mean(axis=1), False)]
        for name, own, is_spectrum in maps:
            step, first = (None, None) if is_spectrum else grids[stage]
            is_signed = part in SIGNED or bool((own < 0).any())
            by_part.append(
                [
                    ExplanationMap(name, stage, "", face, is_signed, step=step, first=first, is_spatial=not is_spectrum)
                    for face in (np.fft.fftshift(own, axes=(1, 2)) if is_spectrum else own)
                ]
            )
    return [list(maps) for maps in zip(*by_part, strict=True)]
