"""The parts of SPAM: spatial branches of several scales, and values from a spectrum with a gate per channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.fourier import dft2
from mien.models.layers.observing import observe


class MultiScale(nn.Module):
    r"""Parallel convolutions of one map, merged and projected to the map's channels.

    .. math:: y = W * \mathrm{cat}_i[f_i(x)] + b, \quad \text{or with } \texttt{use\_sum} \quad
        y = W * \Big(\sum_i \alpha_i f_i(x)\Big) + b \qquad \text{Eq. (1)}

    where :math:`f_i` are dense for kernel 1, else depthwise, all with bias; :math:`W` is 1 x 1 and the scalars
    :math:`\alpha_i` are learned and start at 1. Shape: (N, channels, H, W), kept.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], *, use_sum: bool = False) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=1 if kernel == 1 else channels)
            for kernel in kernels
        )
        self.alpha = nn.Parameter(torch.ones(len(kernels))) if use_sum else None
        self.compress = nn.Conv2d(channels if use_sum else len(kernels) * channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the merged map."""
        found = [branch(maps) for branch in self.branches]
        if self.alpha is None:
            merged = torch.cat(found, dim=1)
        else:
            merged = sum(alpha * branch for alpha, branch in zip(self.alpha.unbind(), found, strict=True))
        compressed: Tensor = self.compress(merged)
        return compressed


class SpectralValues(nn.Module):
    r"""Values from the real part of a map's spectrum; the subclasses say how.

    :math:`\mathcal{F}` is the orthonormal transform over the positions. There is no inverse transform: positions of the
    values are frequencies, the zero frequency first. Without `use_fft` the map takes the place of its spectrum.

    Shape: (N, channels, H, W), kept.
    """

    def __init__(self, channels: int, hidden: int, *, use_fft: bool, use_bias: bool) -> None:
        super().__init__()
        self.use_fft = use_fft
        self.mix = nn.Conv2d(channels, channels, 1)
        self.excitation = Excitation(channels, hidden, use_bias=use_bias)

    def spectrum(self, maps: Tensor) -> Tensor:
        """Return Re F(x), or the map itself without `use_fft`."""
        return observe(self, "spectrum", dft2(maps)[0]) if self.use_fft else observe(self, "values", maps)


class ReleasedValues(SpectralValues):
    r"""As released: mixed over channels and weighted by the mixed map's own squeeze and excitation, with biases.

    .. math:: F_c = W * \mathrm{Re}\, \mathcal{F}(x) + b, \qquad V = F_c \odot \varphi(F_c)

    where :math:`W` is 1 x 1 and :math:`\varphi` is `Excitation.gate` with `hidden` middle channels.
    """

    def __init__(self, channels: int, hidden: int, *, use_fft: bool) -> None:
        super().__init__(channels, hidden, use_fft=use_fft, use_bias=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return V."""
        mixed: Tensor = self.mix(self.spectrum(maps))
        return mixed * self.excitation.gate(mixed)


class WrittenValues(SpectralValues):
    r"""As written: scaled and shifted by channel, mixed over channels, and weighted by channel.

    .. math::
        z &= \gamma \odot \mathrm{Re}\, \mathcal{F}(x) + \beta \qquad \text{Eq. (3), (4)} \\
        F_c &= W * z + b \qquad \text{Eq. (5)} \\
        V &= F_c \odot \varphi(z) \qquad \text{Eq. (6), (7)}

    where :math:`\gamma` (from 1) and :math:`\beta` (from 0) have one value for each channel, :math:`W` is 1 x 1 and
    :math:`\varphi` is `Excitation.gate` with `hidden` middle channels, without biases.

    The mean of a whole spectrum is the map's first value, by the inverse transform at position 0:
    :math:`\mathrm{GAP}(\mathrm{Re}\, \mathcal{F}(x)) = x_{00} / \sqrt{HW}`. So the gate depends on nothing in the map
    but its top left corner; without FFT, where :math:`z = x`, it depends on the mean. The same holds for
    `ReleasedValues`, whose :math:`F_c` has the mean of a mixed spectrum.
    """

    def __init__(self, channels: int, hidden: int, *, use_fft: bool) -> None:
        super().__init__(channels, hidden, use_fft=use_fft, use_bias=False)
        if use_fft:
            self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
            self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return V."""
        modulated = self.spectrum(maps)
        if self.use_fft:
            modulated = modulated * self.gamma + self.beta
        mixed: Tensor = self.mix(modulated)
        return mixed * self.excitation.gate(modulated)
