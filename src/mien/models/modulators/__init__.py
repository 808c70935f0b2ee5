"""Modulators: one idea a file, (N, C, H, W) -> (N, C, H, W), insertable after any stage of any backbone.

The file name is the modulator's name in recipes; the file defines exactly one subclass of `Modulator`.
Outsiders add theirs with an entry point of the group `mien.modulators` that names such a class.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from mien.models.network import Stage


class Modulator(nn.Module):
    """Base of every modulator: re-weights the feature map of one stage and keeps its shape.

    A subclass takes the `Stage` that it follows, then its options as keyword arguments with defaults and
    simple types (int, float, bool, str, Literal, tuples of these): recipes set them by name.
    """

    smallest_map: ClassVar[int] = 1
    """The least height and width of the map, in positions."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, maps: Tensor) -> Tensor:
        """Return the modulated map; both are (N, C, H, W)."""
        raise NotImplementedError
