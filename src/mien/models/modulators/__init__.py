"""Modulators: one file each, (N, C, H, W) -> (N, C, H, W), insertable after any stage of any backbone.

The file name is the modulator's name in recipes; the file defines one subclass of `Modulator`. Other packages add
theirs by an entry point of the group `mien.modulators`.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from mien.models.network import Stage


class Modulator(nn.Module):
    """Base of every modulator: re-weights the feature map of one stage and keeps its shape.

    A subclass takes the `Stage` that it follows, then its options: keyword arguments with defaults and simple types
    (int, float, bool, str, Literal, tuples of these), which recipes set by name.
    """

    smallest_map: ClassVar[int] = 1
    """The least height and width of the map, in positions."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, maps: Tensor) -> Tensor:
        """Return the modulated map; both are (N, C, H, W)."""
        raise NotImplementedError

    def reduced_channels(self, reduction: int) -> int:
        """Return the stage's channels // reduction; `ValueError` unless that is at least 1."""
        channels = self.stage.channels
        if not 1 <= reduction <= channels:
            raise ValueError(f"reduction is {reduction}; stage '{self.stage.name}' allows 1 to {channels}.")
        return channels // reduction


def check_odd(kernel: int, name: str = "kernel") -> None:
    """Raise `ValueError` unless a kernel's size is odd: only then does padding keep the map's size."""
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"{name} is {kernel}; it must be odd.")
