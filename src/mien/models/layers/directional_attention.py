"""DAF, directional attention fusion (Shao et al. 2025): a map's rows and columns attend to themselves and each other.

The paper has one map size, 7 x 7. Here kernels and positional encodings have the length of that nominal map and are
resized for any other, so height and width are free.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.layers.observing import observe
from mien.models.layers.tracing import constant_of, map_size

Axis = Literal["height", "width"]
Cross = Literal["equation", "algorithm"]


def resize_weights(length: int, new_length: int, axis: int) -> NDArray[np.float64]:
    """Return (new_length, length): the weight of each old position on each new one, linear in their distance.

    Both lines cover the same extent. Shrinking averages over the old positions that a new one covers.

    Args:
        length: Old positions.
        new_length: New positions.
        axis: The axis whose sums are 1. 1: each new value is a mean of old ones; 0: each old value is distributed.
    """
    step = length / new_length
    positions = (np.arange(new_length) + 0.5) * step - 0.5
    distances = np.abs(positions[:, None] - np.arange(length))
    weights = np.maximum(1 - distances / max(1.0, step), 0.0)
    return np.asarray(weights / weights.sum(axis=axis, keepdims=True))


def resize_rows(rows: Tensor, new_length: int) -> Tensor:
    """Interpolate along the last axis but one: (..., L, C) -> (..., new_length, C); `rows` if L is `new_length`."""
    length, _ = map_size(rows)
    if length == new_length:
        return rows
    return constant_of(resize_weights, length, new_length, 1, like=rows).to(rows.dtype) @ rows


class GlobalConvolution(nn.Conv2d):
    r"""A depthwise convolution whose kernel covers the whole map along one axis and one position along the other.

    .. math:: y_{c,h} = \sum_{w=1}^{W} k_{c,w}\, x_{c,h,w} \quad \text{for the height, and} \quad
        y_{c,w} = \sum_{h=1}^{H} k_{c,h}\, x_{c,h,w} \quad \text{for the width}

    For a map of another length the kernel is resized linearly: each of its values is distributed over the new ones, so
    its sum stays the same. It has no bias: the 1 x 1 convolution that follows has one.

    Shape: (N, C, H, W) -> (N, C, H, 1) for the height, (N, C, 1, W) for the width.

    Args:
        channels: C.
        length: Length of the kernel.
        axis: The axis that is kept.
    """

    def __init__(self, channels: int, length: int, axis: Axis) -> None:
        kernel = (1, length) if axis == "height" else (length, 1)
        super().__init__(channels, channels, kernel, groups=channels, bias=False)
        self.length, self.axis = length, axis

    def forward(self, maps: Tensor) -> Tensor:
        """Return one value for each channel and position of the kept axis."""
        height, width = map_size(maps)
        new_length = width if self.axis == "height" else height
        return F.conv2d(maps, self._kernel(new_length), self.bias, groups=self.groups)

    def _kernel(self, new_length: int) -> Tensor:
        if new_length == self.length:
            return self.weight
        spread = constant_of(resize_weights, self.length, new_length, 0, like=self.weight).to(self.weight.dtype)
        shape = (1, new_length) if self.axis == "height" else (new_length, 1)
        return (self.weight.flatten(1) @ spread.T).reshape(-1, 1, *shape)


class DirectionFeatures(nn.Module):
    r"""The queries, keys and values of one direction, for self- and for cross-attention.

    .. math::
        x_H &= W_2 * \mathrm{GDConv}_H(W_1 * x) && \text{Eq. (4)} \\
        x_H' &= \mathrm{LN}(x_H P' + E_H), \qquad x_H'' = \mathrm{LN}(x_H P'' + E_H) && \text{section 2.3} \\
        [Q_H, K_H, V_H] &= x_H' [W^Q, W^K, W^V], \qquad [Q_{Hc}, K_{Hc}, V_{Hc}] = x_H'' [W_c^Q, W_c^K, W_c^V]
            && \text{Eq. (5)}

    and the same for the width. :math:`E_H`, (L, C), is the learned positional encoding of the direction.

    Args:
        channels: C.
        length: L of the nominal map.
        axis: The direction.
    """

    def __init__(self, channels: int, length: int, axis: Axis) -> None:
        super().__init__()
        self.axis = axis
        self.point_in = nn.Conv2d(channels, channels, 1)
        self.across = GlobalConvolution(channels, length, axis)
        self.point_out = nn.Conv2d(channels, channels, 1)
        self.positions = nn.Parameter(torch.empty(length, channels))
        self.self_projection = nn.Linear(channels, channels)
        self.cross_projection = nn.Linear(channels, channels)
        self.self_norm = nn.LayerNorm(channels)
        self.cross_norm = nn.LayerNorm(channels)
        self.self_attention = nn.Linear(channels, 3 * channels, bias=False)
        self.cross_attention = nn.Linear(channels, 3 * channels, bias=False)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, maps: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return (Q, K, V) of self- and of cross-attention, each (N, L, C), of a map (N, C, H, W)."""
        lines = self.point_out(self.across(self.point_in(maps))).flatten(2).transpose(1, 2)
        height, width = map_size(maps)
        positions = resize_rows(self.positions, height if self.axis == "height" else width)
        alone = self.self_norm(self.self_projection(lines) + positions)
        crossed = self.cross_norm(self.cross_projection(lines) + positions)
        return self.self_attention(alone).chunk(3, dim=-1), self.cross_attention(crossed).chunk(3, dim=-1)


class DirectionalAttention(nn.Module):
    r"""DAF: one weight for each channel and position, from attention along the height and along the width.

    .. math::
        a(Q, K, V) &= \mathrm{softmax}(Q K^T / \sqrt{C})\, V \\
        x_{Ha} &= a(Q_H, K_H, V_H), \qquad x_{Wa} = a(Q_W, K_W, V_W) && \text{Eq. (6)} \\
        x_{Ca} &= \mathrm{concat}\{a(Q_{Hc}, K_{Hc}, V_{Wc}),\ a(Q_{Wc}, K_{Wc}, V_{Hc})\}\, W_{Ca} && \text{Eq. (7)} \\
        A_s[c, h, w] &= \sigma(x_{Ha} + x_{Ca})[h, c] \cdot \sigma(x_{Wa} + x_{Ca})[w, c] && \text{Eq. (8)}

    with the inputs of `DirectionFeatures`, one for each direction.

    Source: Shao, Li and Wu 2025, section 2.3; full reference in `mien.models.papers.daf_mhsca`.

    Deviations: Eq. (8) multiplies an (H, C) by a (W, C) array and calls the result a spatial attention map; it is read
    as the outer product over positions, the only reading with H x W values. Eq. (7) combines the scores of one
    direction with the values of the other, which is defined for H = W only. For H != W the other direction's values,
    and its half of the concatenation, are resized linearly to this direction's length; so there are two
    :math:`x_{Ca}`, with H and with W rows, equal for H = W. Algorithm 2 has "cross-attend x_H with x_W and vice versa"
    instead: `cross="algorithm"` computes :math:`a(Q_{Hc}, K_{Wc}, V_{Wc})` and :math:`a(Q_{Wc}, K_{Hc}, V_{Hc})`. The
    paper calls GDConv both global dilated and global; it is a depthwise convolution over the whole axis. Its patches
    are single rows and columns. Positional encodings are learned and shared by the two projections of a direction.
    Queries, keys, values and :math:`W_{Ca}` have no bias, as in the equations.

    Shape: (N, C, H, W) -> (N, C, H, W), values in (0, 1).

    Args:
        channels: C.
        map_size: Height and width of the nominal map; there nothing is resized.
        cross: Cross-attention by "equation" (7) or by "algorithm" 2.
    """

    def __init__(self, channels: int, *, map_size: int = 7, cross: Cross = "equation") -> None:
        super().__init__()
        if map_size < 1:
            raise ValueError(f"map_size is {map_size}; it must be at least 1.")
        self.cross = cross
        self.height = DirectionFeatures(channels, map_size, "height")
        self.width = DirectionFeatures(channels, map_size, "width")
        self.merge = nn.Linear(2 * channels, channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return A_s, (N, C, H, W) in (0, 1)."""
        self_height, cross_height = self.height(maps)
        self_width, cross_width = self.width(maps)
        crossed_height, crossed_width = self._cross(cross_height, cross_width, *map_size(maps))
        by_height = torch.sigmoid(attend(*self_height) + crossed_height)  # (N, H, C)
        by_width = torch.sigmoid(attend(*self_width) + crossed_width)  # (N, W, C)
        attention = by_height.transpose(1, 2).unsqueeze(3) * by_width.transpose(1, 2).unsqueeze(2)
        return observe(self, "attention", attention)

    def _cross(
        self, of_height: tuple[Tensor, ...], of_width: tuple[Tensor, ...], height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """Return x_Ca with H and with W rows, (N, H, C) and (N, W, C)."""
        query_h, key_h, value_h = of_height
        query_w, key_w, value_w = of_width
        if self.cross == "equation":
            to_height = attend(query_h, key_h, resize_rows(value_w, height))
            to_width = attend(query_w, key_w, resize_rows(value_h, width))
        else:
            to_height, to_width = attend(query_h, key_w, value_w), attend(query_w, key_h, value_h)
        crossed: Tensor = self.merge(torch.cat([to_height, resize_rows(to_width, height)], dim=-1))
        if height == width:
            return crossed, crossed
        return crossed, self.merge(torch.cat([resize_rows(to_height, width), to_width], dim=-1))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(Q K^T / sqrt(C)) V: (N, L, C), (N, M, C), (N, M, C) -> (N, L, C)."""
    _, channels = map_size(query)
    scores = query @ key.transpose(1, 2) / math.sqrt(channels)
    return scores.softmax(dim=-1) @ value
