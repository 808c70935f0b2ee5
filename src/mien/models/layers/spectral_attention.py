"""What SPAM is made of: spatial branches of several scales, a spectrum as values, gates of whole channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.fourier import dft2
from mien.models.layers.observing import observe


class ScaleBranches(nn.ModuleList):
    """Parallel convolutions of one map, one a kernel size: dense where the kernel is 1, else depthwise, all with bias.

    Shape: (N, channels, H, W) -> one (N, channels, H, W) for each kernel.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=1 if kernel == 1 else channels)
            for kernel in kernels
        )

    def forward(self, maps: Tensor) -> list[Tensor]:
        """Return each branch's output."""
        return [branch(maps) for branch in self]


class ConcatenatedScales(nn.Module):
    r"""Several scales side by side, compressed to the map's channels.

    .. math:: y = W * \mathrm{cat}_i[f_i(x)] + b

    where :math:`f_i` are `ScaleBranches` and :math:`W` is 1 x 1. Shape: (N, channels, H, W), kept.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = ScaleBranches(channels, kernels)
        self.compress = nn.Conv2d(len(kernels) * channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the compressed map."""
        compressed: Tensor = self.compress(torch.cat(self.branches(maps), dim=1))
        return compressed


class SummedScales(nn.Module):
    r"""Several scales, weighted and added: Eq. (1) of SPAYOLO.

    .. math:: F_s = W * \Big(\sum_i \alpha_i f_i(x)\Big) + b \qquad \text{Eq. (1)}

    where :math:`f_i` are `ScaleBranches`, the scalars :math:`\alpha_i` are learnt from 1, and :math:`W` is 1 x 1.
    Shape: (N, channels, H, W), kept.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = ScaleBranches(channels, kernels)
        self.alpha = nn.Parameter(torch.ones(len(kernels)))
        self.compress = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the compressed sum."""
        summed = sum(a * branch for a, branch in zip(self.alpha.unbind(), self.branches(maps), strict=True))
        compressed: Tensor = self.compress(summed)
        return compressed


def channel_gate(excitation: Excitation, maps: Tensor) -> Tensor:
    r"""Return one value in (0, 1) for each channel, from the means of all channels.

    .. math:: g(z) = \sigma(W_2\, \mathrm{ReLU}(W_1\, \mathrm{GAP}(z)))

    Shape: (N, C, H, W) -> (N, C, 1, 1).
    """
    scores: Tensor = excitation(maps.mean(dim=(2, 3)))
    return torch.sigmoid(scores)[:, :, None, None]


class SpectralValues(nn.Module):
    r"""The real part of a map's spectrum, mixed over channels and weighted by channel.

    .. math::
        z &= \gamma \odot \mathrm{Re}\, \mathcal{F}(x) + \beta \qquad \text{Eq. (3), (4)} \\
        F_c &= W * z + b \qquad \text{Eq. (5)} \\
        V &= F_c \odot \varphi(u) \qquad \text{Eq. (6), (7)}

    where :math:`\mathcal{F}` is the orthonormal transform over the positions, :math:`\gamma` (from 1) and
    :math:`\beta` (from 0) have one value for each channel, :math:`W` is 1 x 1 and :math:`\varphi` is `channel_gate`
    with `hidden` middle channels: of :math:`u = F_c` and with biases where `use_mixed_gate`, else of :math:`u = z`
    without, as Eq. (6) has it. There is no inverse transform: positions of V are frequencies, the zero frequency first.

    The mean of a whole spectrum is the map's first value, by the inverse transform at position 0:
    :math:`\mathrm{GAP}(\mathrm{Re}\, \mathcal{F}(x)) = x_{00} / \sqrt{HW}`. So the gate sees nothing of the map but
    its top left corner; without FFT it sees the mean.

    Without `use_fft`, :math:`z = x`.

    Shape: (N, channels, H, W), kept.
    """

    def __init__(self, channels: int, hidden: int, *, use_fft: bool, use_mixed_gate: bool) -> None:
        super().__init__()
        self.use_fft = use_fft
        self.use_mixed_gate = use_mixed_gate
        if use_fft:
            self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
            self.beta = nn.Parameter(torch.zeros(channels, 1, 1))
        self.mix = nn.Conv2d(channels, channels, 1)
        self.excitation = Excitation(channels, hidden, use_bias=use_mixed_gate)

    def spectrum(self, maps: Tensor) -> Tensor:
        """Return Re F(x), or the map itself without `use_fft`."""
        return observe(self, "spectrum", dft2(maps)[0]) if self.use_fft else observe(self, "values", maps)

    def forward(self, maps: Tensor) -> Tensor:
        """Return V."""
        modulated = self.spectrum(maps) * self.gamma + self.beta if self.use_fft else self.spectrum(maps)
        mixed: Tensor = self.mix(modulated)
        return mixed * channel_gate(self.excitation, mixed if self.use_mixed_gate else modulated)
