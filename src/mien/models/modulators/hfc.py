"""HFC attention (Kim and Jo 2024): high frequencies ask, and singular values answer where to look."""

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
from mien.models.modulators import Modulator
from mien.models.network import Stage

Query = Literal["hfc", "lfc", "both", "both_hl"]
# Query and key of each channel of scores: high frequencies, low frequencies, the whole.
HIGH, LOW, WHOLE = "high", "low", "whole"
PAIRS: dict[Query, tuple[tuple[str, str], ...]] = {
    "hfc": ((HIGH, WHOLE),),
    "lfc": ((LOW, WHOLE),),
    "both": ((HIGH, WHOLE), (LOW, WHOLE)),
    "both_hl": ((HIGH, WHOLE), (LOW, WHOLE), (HIGH, LOW)),
}


class HFC(Modulator):
    r"""Weight each position by a gate computed from the singular values of one picture and of its high frequencies.

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

    so `cutoff` is a share of the Nyquist frequency along each axis. The low frequencies are the rest, x~ - h.

    Source: Kim and Jo, "Spatial Attention Network with High Frequency Component for Facial Expression Recognition",
    2024.

    Deviations: the paper gives no filter radius. The default of 0.25 is 7 cycles over a map of 56 positions, below the
    8 cycles a face under which studies of perception speak of coarse, low-frequency faces; on a map of 7 it leaves only
    the mean out of the query. The equations are for square maps; here the singular values are followed by
    zeros up to H of them for the query (rows) and W for the key (columns), which changes nothing for H = W. The
    singular values and everything up to the gate stay in 32 bits under 16-bit training: products of two of them
    exceed the range of float16.

    Args:
        stage: The stage that it follows; C is its channels.
        query: "hfc"; "lfc": the low frequencies ask; "both": the scores of both go into the k x k convolution as two
            channels; "both_hl": a third channel where the high frequencies ask the low ones (Table 1).
        cutoff: The filter's radius, from 0 (only the mean is low) to below 1.
        kernel: k, odd.
    """

    smallest_map = 2  # one position is its own mean and has no high frequencies

    def __init__(self, stage: Stage, *, query: Query = "hfc", cutoff: float = 0.25, kernel: int = 7) -> None:
        super().__init__(stage)
        if not 0 <= cutoff < 1:
            raise ValueError(f"cutoff is {cutoff}; it must be at least 0 and below 1.")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; it must be odd.")
        self.query: Query = query
        self.cutoff = cutoff
        self.compress = nn.Conv2d(stage.channels, 1, 1, bias=False)
        self.score = nn.Conv2d(len(PAIRS[query]), 1, kernel, padding=kernel // 2, bias=False)

    def picture(self, maps: Tensor) -> Tensor:
        """Return x~, (N, 1, H, W), the map (N, C, H, W) as one channel, Eq. (1)."""
        picture: Tensor = self.compress(maps)
        return picture

    def high_frequencies(self, pictures: Tensor) -> Tensor:
        """Return h, (N, 1, H, W), of pictures x~ of the same shape, Eq. (2) and (3)."""
        passes = constant_of(high_pass, *map_size(pictures), self.cutoff, like=pictures)
        real, imaginary = dft2(pictures)
        return inverse_dft2(real * passes, imaginary * passes)

    def correlation(self, maps: Tensor) -> Tensor:
        """Return the products of singular values, (N, 1 to 3, H, W), of a map (N, C, H, W), Eq. (8)."""
        height, width = map_size(maps)
        if min(height, width) < self.smallest_map:
            raise ModelError(
                f"HFC got a map of {height} x {width} positions; the smallest is {self.smallest_map} x "
                f"{self.smallest_map}."
            )
        whole = widened(self.picture(maps))
        high = observe(self, "high_frequencies", self.high_frequencies(whole))
        pictures = {HIGH: high, LOW: whole - high, WHOLE: whole}
        names = sorted({name for pair in PAIRS[self.query] for name in pair})
        # All pictures in one batch: an exported file then has one decomposition.
        stacked = torch.stack([pictures[name] for name in names]).flatten(0, 2)
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
    """Return 0 where `low_pass` is 1, and 1 elsewhere."""
    return 1 - low_pass(height, width, cutoff)


def low_pass(height: int, width: int, cutoff: float) -> NDArray[np.float64]:
    """Return 1 at the low frequencies of a (height, width) transform and 0 elsewhere; the mean is always low."""
    rows, columns = np.fft.fftfreq(height)[:, None] * 2, np.fft.fftfreq(width) * 2
    return np.where(np.hypot(rows, columns) <= cutoff, 1.0, 0.0)


def _padded(values: Tensor, n: int) -> Tensor:
    """Return (N, n): values (N, m <= n) with zeros behind them."""
    zero = torch.zeros_like(values[:, :1])
    return torch.cat([values, *[zero] * (n - values.shape[1])], dim=1)
