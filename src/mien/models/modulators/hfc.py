"""HFC attention (Kim and Jo 2024): a spatial gate from the singular values of a map and of its high frequencies."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models.layers.fourier import dft2, inverse_dft2
from mien.models.layers.observing import observe
from mien.models.layers.precision import full_precision, widened
from mien.models.layers.singular_values import singular_values
from mien.models.layers.tracing import constant_of, map_size
from mien.models.modulators import Modulator, check_odd
from mien.models.network import Stage

Query = Literal["hfc", "lfc", "both", "both_hl"]
# (query, key) of each score map: high frequencies, low frequencies, or the whole projection.
HIGH, LOW, WHOLE = "high", "low", "whole"
PAIRS: dict[Query, tuple[tuple[str, str], ...]] = {
    "hfc": ((HIGH, WHOLE),),
    "lfc": ((LOW, WHOLE),),
    "both": ((HIGH, WHOLE), (LOW, WHOLE)),
    "both_hl": ((HIGH, WHOLE), (LOW, WHOLE), (HIGH, LOW)),
}


class HFC(Modulator):
    r"""Weight each position by a gate from the singular values of the map's projection and of its high frequencies.

    .. math::
        \tilde{x} &= C_{1 \times 1}(x) \in \mathbb{R}^{H \times W} \qquad \text{Eq. (1)} \\
        h &= \mathfrak{F}^{-1}\{\mathfrak{F}\{\tilde{x}\}\, \mathcal{H}_{HPF}\} \qquad \text{Eq. (2), (3)} \\
        \sigma^h &= \mathrm{vec}(\Sigma_h), \quad \sigma^x = \mathrm{vec}(\Sigma_{\tilde{x}})
            \qquad \text{Eq. (5) - (7)} \\
        a &= \mathrm{sigmoid}(C_{7 \times 7}(\sigma^h {\sigma^x}^T)) \in (0, 1)^{H \times W}
            \qquad \text{Eq. (8), (9)} \\
        y &= a \odot x \qquad \text{Eq. (10)}

    :math:`\Sigma` are the singular values in descending order, and neither convolution has a bias: C + 49 parameters.
    The high-pass is an ideal circular filter: with u and v cycles over the map's height and width,

    .. math:: \mathcal{H}_{HPF}(u, v) = 1 \text{ where } \sqrt{(2u / H)^2 + (2v / W)^2} > \mathrm{cutoff},
        \text{ else } 0

    so `cutoff` is a fraction of the Nyquist frequency along each axis. The low frequencies are the rest, x~ - h.

    Source: Kim and Jo, "Spatial Attention Network with High Frequency Component for Facial Expression Recognition",
    2024.

    Deviations: the paper gives no filter radius. The default of 0.25 is 7 cycles over a map of 56 positions, just
    under the 8 cycles per face below which studies of perception call a face low-frequency; on a map of 7 it removes
    only the mean from the query. The equations are for square maps; here the singular values are padded with zeros to H
    for the query (rows) and W for the key (columns), which changes nothing for H = W. The singular values and
    everything up to the gate stay in 32 bits in 16-bit training: products of two of them exceed the range of float16.

    Args:
        stage: The stage that it follows; C is its channels.
        query: "hfc": high frequencies; "lfc": low frequencies; "both": two score maps, one of each, are the input of
            the k x k convolution; "both_hl": and a third, high frequencies against low ones (Table 1).
        cutoff: The filter's radius, from 0 (only the mean is low) to below 1.
        kernel: k, odd.
    """

    smallest_map = 2  # one position is its own mean and has no high frequencies

    def __init__(self, stage: Stage, *, query: Query = "hfc", cutoff: float = 0.25, kernel: int = 7) -> None:
        super().__init__(stage)
        if not 0 <= cutoff < 1:
            raise ValueError(f"cutoff is {cutoff}; it must be at least 0 and below 1.")
        check_odd(kernel)
        self.query: Query = query
        self.cutoff = cutoff
        self.compress = nn.Conv2d(stage.channels, 1, 1, bias=False)
        self.score = nn.Conv2d(len(PAIRS[query]), 1, kernel, padding=kernel // 2, bias=False)

    def high_frequencies(self, projection: Tensor) -> Tensor:
        """Return h, (N, 1, H, W), of a projection x~ of the same shape, Eq. (2) and (3)."""
        passes = constant_of(high_pass, *map_size(projection), self.cutoff, like=projection)
        real, imaginary = dft2(projection)
        return inverse_dft2(real * passes, imaginary * passes)

    def correlation(self, maps: Tensor) -> Tensor:
        """Return the products of singular values, (N, 1 to 3, H, W), of a map (N, C, H, W), Eq. (8)."""
        height, width = map_size(maps)
        if min(height, width) < self.smallest_map:
            raise ModelError(
                f"HFC got a map of {height} x {width} positions; the smallest is {self.smallest_map} x "
                f"{self.smallest_map}."
            )
        whole = widened(self.compress(maps))  # x~, Eq. (1)
        high = observe(self, "high_frequencies", self.high_frequencies(whole))
        bands = {HIGH: high, LOW: whole - high, WHOLE: whole}
        names = sorted({name for pair in PAIRS[self.query] for name in pair})
        # All bands in one batch, so that an exported file has only one decomposition.
        stacked = torch.stack([bands[name] for name in names]).flatten(0, 2)
        values = dict(zip(names, singular_values(stacked).chunk(len(names)), strict=True))
        scores = [
            _padded(values[query], height).unsqueeze(2) * _padded(values[key], width).unsqueeze(1)
            for query, key in PAIRS[self.query]
        ]
        return torch.stack(scores, dim=1)

    def gate(self, maps: Tensor) -> Tensor:
        """Return a, (N, 1, H, W) in (0, 1), of a map (N, C, H, W), Eq. (9)."""
        with full_precision(maps):
            return observe(self, "gate", torch.sigmoid(self.score(self.correlation(widened(maps)))))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the gated map (N, C, H, W), Eq. (10)."""
        return maps * self.gate(maps).to(maps.dtype)


def high_pass(height: int, width: int, cutoff: float) -> NDArray[np.float64]:
    """Return 0 at the low frequencies of a (height, width) transform and 1 elsewhere; the mean is always low."""
    rows, columns = np.fft.fftfreq(height)[:, None] * 2, np.fft.fftfreq(width) * 2
    return np.where(np.hypot(rows, columns) <= cutoff, 0.0, 1.0)


def _padded(values: Tensor, n: int) -> Tensor:
    """Return (N, n): values (N, m <= n) padded with zeros."""
    zero = torch.zeros_like(values[:, :1])
    return torch.cat([values, *[zero] * (n - values.shape[1])], dim=1)
