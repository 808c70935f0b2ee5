"""SPAM, the spectral-aware perception and aggregation module of SPAYOLO (Ma et al. 2025)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.observing import observe
from mien.models.layers.precision import full_precision, widened
from mien.models.layers.spectral_attention import MultiScale, SpectralValues
from mien.models.modulators import Modulator
from mien.models.network import Stage

Form = Literal["pairwise", "elementwise"]


class SPAM(Modulator):
    r"""Attention whose queries and keys are spatial branches of several scales and whose values are a spectrum.

    Form "pairwise", as released: every position attends to every frequency.

    .. math::
        Q &= W_Q * \mathrm{cat}[f_1, f_3, f_5](x), \qquad K = W_K * \mathrm{cat}[f_3, f_5, f_7](x) \\
        V &= \mathrm{SE}(W_V * (\gamma \odot \mathrm{Re}\, \mathcal{F}(x) + \beta)) \\
        A &= \sigma(Q^\top K) \in (0, 1)^{HW \times HW}, \qquad o = V A^\top \\
        y &= o + x + (W_g\, \mathrm{GAP}(o) + b_g)

    Form "elementwise", as written:

    .. math::
        F_s &= \mathrm{Conv}_{1 \times 1}\Big(\sum_i \alpha_i f_i(x)\Big), \quad i \in \{1, 3, 5, 7\}
            \qquad \text{Eq. (1)} \\
        Q &= \Psi_Q(F_s) \qquad \text{Eq. (2)} \\
        V &= \mathrm{Conv}_{1 \times 1}(z) \odot \varphi(z), \quad z = \gamma \odot \mathrm{Re}\, \mathcal{F}(x) + \beta
            \qquad \text{Eq. (3)-(7)} \\
        A &= \sigma(Q \odot V) \in (0, 1)^{C \times H \times W} \qquad \text{Eq. (8)} \\
        g &= \sigma(W_2\, \mathrm{ReLU}(W_1\, \mathrm{GAP}(V))) \qquad \text{Eq. (9)} \\
        y &= (A \odot V) \times g + x \qquad \text{Eq. (10)}

    where :math:`f_1` is a dense 1 x 1 convolution and :math:`f_3, f_5, f_7` are depthwise, each use with its own
    weights; :math:`\mathcal{F}` is the orthonormal transform without an inverse; SE is a squeeze-and-excitation gate.

    Neither a softmax nor a scale by :math:`1 / \sqrt C` limits the pairwise form: at 14 x 14 each output is a sum of
    196 values with weights around 1/2. These sums exceed the precision and range of 16 bits, so the whole module runs
    in at least 32 bits. A has (HW)^2 values per image: 39 MB for a map of 56 x 56.

    Source: "Spectral-spatial feature fusion for real-time facial expression recognition", Scientific Reports 2025.

    Deviations: the released form has exactly 655,936 parameters at 256 channels. The weights as described are 652,544;
    a bias for each convolution and linear layer (11 of 256, one of 64) and the scale and shift of Eq. (4) (2 of 256)
    are the rest. So every bias and these two are inferred from the count. Scale and shift before a 1 x 1 convolution
    with a bias do not extend the functions that the module can represent. In Eq. (4) the attention is a map, in Eq. (6)
    a weight for each channel: Eq. (6) and (7) are followed. The paper writes that the branches "combine standard and
    depthwise separable convolutions"; the 1 x 1 convolution after them is the pointwise half. K of Eq. (2) is not used
    in Eq. (8)-(10), so the elementwise form has none. Eq. (6) and (9) have no biases. Without multi-scale "query and
    key vectors are generated from a unified transformation": Q and K are one 1 x 1 convolution each, and :math:`F_s` is
    one. Without FFT, z = x, with neither scale nor shift.

    Args:
        stage: The stage that it follows; C is its channels.
        form: "pairwise" as in the released code, "elementwise" as in the paper's equations.
        use_fft: Compute the values from the spectrum, not from the map itself (Table 4, row 3).
        use_multi_scale: Use several kernel sizes, not 1 x 1 alone (Table 4, row 4).
        reduction: C over the middle channels of the channel gates.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        form: Form = "pairwise",
        use_fft: bool = True,
        use_multi_scale: bool = True,
        reduction: int = 4,
    ) -> None:
        super().__init__(stage)
        channels = stage.channels
        hidden = self.reduced_channels(reduction)
        attention = Pairwise if form == "pairwise" else Elementwise
        self.fusion = attention(channels, hidden, use_fft=use_fft, use_multi_scale=use_multi_scale)

    def spectrum(self, maps: Tensor) -> Tensor:
        """Return Re F(x), (N, C, H, W), the zero frequency first; without `use_fft` the map itself."""
        with full_precision(maps):
            return self.fusion.value.spectrum(widened(maps))

    def attention(self, maps: Tensor) -> Tensor:
        """Return A in (0, 1): (N, HW, HW) with rows for positions in the pairwise form, else (N, C, H, W)."""
        with full_precision(maps):
            return self.fusion.attention(widened(maps))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the modulated map (N, C, H, W), at least float32."""
        with full_precision(maps):
            fused: Tensor = self.fusion(widened(maps))
            return fused


class Pairwise(nn.Module):
    """The released form. Shape: (N, C, H, W), kept."""

    def __init__(self, channels: int, hidden: int, *, use_fft: bool, use_multi_scale: bool) -> None:
        super().__init__()
        self.query: nn.Module = nn.Conv2d(channels, channels, 1)
        self.key: nn.Module = nn.Conv2d(channels, channels, 1)
        if use_multi_scale:
            self.query = MultiScale(channels, (1, 3, 5))
            self.key = MultiScale(channels, (3, 5, 7))
        self.value = SpectralValues(channels, hidden, use_fft=use_fft, use_mixed_gate=True)
        self.context = nn.Linear(channels, channels)

    def attention(self, maps: Tensor) -> Tensor:
        """Return A, (N, HW, HW)."""
        query: Tensor = self.query(maps).flatten(2)  # (N, C, HW)
        key: Tensor = self.key(maps).flatten(2)
        return observe(self, "attention", torch.sigmoid(query.transpose(1, 2) @ key))

    def forward(self, maps: Tensor) -> Tensor:
        """Return o + x + context."""
        values: Tensor = self.value(maps).flatten(2)  # (N, C, HW)
        fused: Tensor = values @ self.attention(maps).transpose(1, 2)
        context: Tensor = self.context(fused.mean(dim=2))
        return fused.reshape(maps.shape) + maps + context[:, :, None, None]


class Elementwise(nn.Module):
    """The written form. Shape: (N, C, H, W), kept."""

    def __init__(self, channels: int, hidden: int, *, use_fft: bool, use_multi_scale: bool) -> None:
        super().__init__()
        self.spatial: nn.Module = nn.Conv2d(channels, channels, 1)
        if use_multi_scale:
            self.spatial = MultiScale(channels, (1, 3, 5, 7), use_sum=True)
        self.query = nn.Conv2d(channels, channels, 1)
        self.value = SpectralValues(channels, hidden, use_fft=use_fft, use_mixed_gate=False)
        self.excitation = Excitation(channels, hidden)

    def attention(self, maps: Tensor) -> Tensor:
        """Return A, (N, C, H, W)."""
        return self._attention(maps, self.value(maps))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the gated values and the residual."""
        values: Tensor = self.value(maps)
        return self._attention(maps, values) * values * self.excitation.gate(values) + maps

    def _attention(self, maps: Tensor, values: Tensor) -> Tensor:
        query: Tensor = self.query(self.spatial(maps))
        return observe(self, "attention", torch.sigmoid(query * values))
