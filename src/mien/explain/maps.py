"""The result of every explanation method: a map of evidence over a face."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ModelError

Images = NDArray[np.float32]
Maps = NDArray[np.float32]
Labels = NDArray[np.int64]
# (n, c, h, w) normalized images -> (n, labels) probabilities.
Predict = Callable[[Images], NDArray[np.float32]]
Pair = tuple[float, float]
# Cells per side of the grid for summaries; even, so that quarters end between cells.
SUMMARY_SIDE = 128


@dataclass(frozen=True)
class ExplanationMap:
    """Where in an image the evidence lies, on the grid of the method.

    Attributes:
        method: The method's name, or for a part's own map the part, such as `stage3/despam/gate`.
        layer: The stage it was computed at; empty for the input image.
        label: The explained class; empty for a part's own map.
        values: (h, w) float32, finite; larger: more evidence.
        is_signed: Whether values below 0 mean evidence against the class.
        step: Distance between values, as fractions of the image's height and width; None: (1 / h, 1 / w).
        first: Centre of the first value, as fractions of height and width; None: half a step. With neither given, the
            values cover the image from edge to edge.
        is_spatial: Whether the values are positions in the image; False for frequencies.
    """

    method: str
    layer: str
    label: str
    values: NDArray[np.float32]
    is_signed: bool = False
    step: Pair | None = None
    first: Pair | None = None
    is_spatial: bool = True

    def __post_init__(self) -> None:
        if not np.isfinite(self.values).all():
            raise ModelError(f"A map of '{self.method}' has non-finite values; the network may have diverged.")

    def resized(self, height: int, width: int) -> NDArray[np.float32]:
        """Return the values at the image's pixel centres, (height, width).

        They are interpolated bilinearly; beyond the outermost value they are constant, and a pixel larger than a step
        gets the mean over its area.
        """
        return self.window((0.0, 0.0), (1.0, 1.0), height, width)

    def window(self, upper_left: Pair, lower_right: Pair, height: int, width: int) -> NDArray[np.float32]:
        """Return the values on a grid (height, width) over part of the image: the only resampling of maps.

        Args:
            upper_left: Corner (y, x) of the window, as fractions of the image; may be outside it.
            lower_right: The opposite corner.
            height: Rows of the grid.
            width: Columns of the grid.
        """
        h, w = self.values.shape
        step = self.step or (1 / h, 1 / w)
        first = self.first or (step[0] / 2, step[1] / 2)
        down, across = (
            _weights(count, wanted, (start, end), middle, length)
            for count, wanted, start, end, middle, length in zip(
                (h, w), (height, width), upper_left, lower_right, first, step, strict=True
            )
        )
        return np.asarray(down @ self.values @ across.T, dtype=np.float32)

    def centre_of_mass(self) -> Pair | None:
        """Return the centre of mass (x, y) of the evidence, as fractions of width and height; None without evidence.

        Evidence against the class counts as 0. A part's own map counts from its minimum.
        """
        evidence = self._evidence()
        total = float(evidence.sum())
        if total == 0:
            return None
        centres = (np.arange(SUMMARY_SIDE) + 0.5) / SUMMARY_SIDE
        return float(evidence.sum(axis=0) @ centres) / total, float(evidence.sum(axis=1) @ centres) / total

    def quarters(self) -> dict[str, float]:
        """Return the share of the evidence in each quarter of the image: sums to 1, or all 0 without evidence.

        Left and right are the viewer's.
        """
        evidence = self._evidence().reshape(2, SUMMARY_SIDE // 2, 2, SUMMARY_SIDE // 2).sum(axis=(1, 3))
        shares = (evidence / (float(evidence.sum()) or 1.0)).ravel().tolist()
        return dict(zip(("upper left", "upper right", "lower left", "lower right"), shares, strict=True))

    def _evidence(self) -> NDArray[np.float64]:
        values = self.resized(SUMMARY_SIDE, SUMMARY_SIDE).astype(np.float64)
        evidence: NDArray[np.float64] = np.clip(values if self.label else values - values.min(), 0, None)
        return evidence


def _weights(count: int, wanted: int, window: Pair, first: float, step: float) -> NDArray[np.float64]:
    """Return (wanted, count): the weight of each value of a line in each pixel of a window."""
    start, end = window
    # a pixel larger than a step is the mean of points inside it, at most a step apart
    points = max(1, math.ceil(abs(end - start) / wanted / step - 1e-9))
    centres = start + (np.arange(wanted * points) + 0.5) * (end - start) / (wanted * points)
    positions = np.clip((centres - first) / step, 0, count - 1)
    weights = np.maximum(1 - np.abs(positions[:, None] - np.arange(count)), 0)
    averaged: NDArray[np.float64] = weights.reshape(wanted, points, count).mean(axis=1)
    return averaged
