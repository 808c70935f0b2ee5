"""Batch norms before their convolution, as in pre-activation networks, and what they fold to."""

from __future__ import annotations

from torch import Tensor, nn

from mien.models.layers.folding import norm_scale_and_shift


class ScaleShift(nn.Module):
    r"""A fixed scale and shift for each channel.

    .. math:: y_c = s_c x_c + b_c

    Shape: (N, C, H, W) -> (N, C, H, W).

    Args:
        scale: (C,).
        shift: (C,).
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale.reshape(1, -1, 1, 1), requires_grad=False)
        self.shift = nn.Parameter(shift.reshape(1, -1, 1, 1), requires_grad=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the scaled and shifted map."""
        return maps * self.scale + self.shift


class PreNorm(nn.BatchNorm2d):
    """A batch norm whose input other layers read too, so that it cannot merge into the convolution before it.

    In a dense net every layer has its own norm of the concatenated maps. Folded, it is a `ScaleShift`.
    """

    def fold(self) -> ScaleShift:
        """Return the same function in evaluation."""
        scale, shift = norm_scale_and_shift(self)
        return ScaleShift(scale.to(self.weight.dtype), shift.to(self.weight.dtype))
