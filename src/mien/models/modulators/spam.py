"""SPAM, the spectral-aware perception and aggregation module of SPAYOLO (Ma et al. 2025)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.observing import observe
from mien.models.layers.precision import full_precision, widened
from mien.models.layers.spectral_attention import MultiScale, ReleasedValues, WrittenValues
from mien.models.modulators import Modulator
from mien.models.network import Stage

Form = Literal["pairwise", "elementwise"]
GateSource = Literal["values", "fused"]


class SPAM(Modulator):
    r"""Attention whose queries and keys are spatial branches of several scales and whose values are a spectrum.

    Form "pairwise", as released: every position attends to every frequency.

    .. math::
        Q &= W_Q * \mathrm{cat}[f_1, f_3, f_5](x), \qquad K = W_K * \mathrm{cat}[f_3, f_5, f_7](x) \\
        V &= \mathrm{SE}(W_V * \mathrm{Re}\, \mathcal{F}(x)) \\
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

    Deviations: the released form has exactly 655,936 parameters at 256 channels: the weights (652,544), a bias for each
    convolution and linear layer (11 of 256, one of 64), and a batch norm that the released module makes and never
    uses (2 of 256). It is kept here for the count; it has no gradient and folding drops it. The released module has no
    :math:`\gamma` and :math:`\beta`. In Eq. (4) the attention is a map, in Eq. (6) a weight for each channel: Eq. (6)
    and (7) are followed. The paper writes that the branches "combine standard and depthwise separable convolutions";
    the 1 x 1 convolution after them is the pointwise half. K of Eq. (2) is not used in Eq. (8)-(10), so the elementwise
    form has none. Eq. (6) and (9) have no biases. Eq. (9) computes g from V, while the text before it pools "the fused
    feature map": `gate_source` "fused" takes :math:`A \odot V`, the only fused map before g. Without multi-scale "query
    and key vectors are generated from a unified transformation": Q and K are one 1 x 1 convolution each, and
    :math:`F_s` is one. Without FFT, z = x, with neither scale nor shift.

    Args:
        stage: The stage that it follows; C is its channels.
        form: "pairwise" as in the released code, "elementwise" as in the paper's equations.
        use_fft: Compute the values from the spectrum, not from the map itself (Table 4, row 3).
        use_multi_scale: Use several kernel sizes, not 1 x 1 alone (Table 4, row 4).
        gate_source: What g is computed from in the elementwise form: "values" as in Eq. (9), "fused" as in the text.
        reduction: C over the middle channels of the channel gates.

    Raises:
        ValueError: `reduction` does not fit the stage, or the pairwise form, which has no g, got "fused".
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        stage: Stage,
        *,
        form: Form = "pairwise",
        use_fft: bool = True,
        use_multi_scale: bool = True,
        gate_source: GateSource = "values",
        reduction: int = 4,
    ) -> None:
        super().__init__(stage)
        channels, hidden = stage.channels, self.reduced_channels(reduction)
        self.fusion: Pairwise | Elementwise
        if form == "pairwise":
            if gate_source != "values":
                raise ValueError('gate_source is "fused"; only form = "elementwise" has the gate of Eq. (9).')
            self.fusion = Pairwise(channels, hidden, use_fft=use_fft, use_multi_scale=use_multi_scale)
            return
        self.fusion = Elementwise(
            channels, hidden, use_fft=use_fft, use_multi_scale=use_multi_scale, gate_source=gate_source
        )

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


class IdleNorm(nn.BatchNorm2d):
    """A batch norm that is made and never used, as in the released module; without a gradient, dropped by folding."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.requires_grad_(requires_grad=False)

    def fold(self) -> nn.Identity:
        """Return nothing to compute."""
        return nn.Identity()


class Pairwise(nn.Module):
    """The released form. Shape: (N, C, H, W), kept."""

    def __init__(self, channels: int, hidden: int, *, use_fft: bool, use_multi_scale: bool) -> None:
        super().__init__()
        self.query: nn.Module = nn.Conv2d(channels, channels, 1)
        self.key: nn.Module = nn.Conv2d(channels, channels, 1)
        if use_multi_scale:
            self.query = MultiScale(channels, (1, 3, 5))
            self.key = MultiScale(channels, (3, 5, 7))
        self.value = ReleasedValues(channels, hidden, use_fft=use_fft)
        self.context = nn.Linear(channels, channels)
        self.norm = IdleNorm(channels)

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

    def __init__(
        self, channels: int, hidden: int, *, use_fft: bool, use_multi_scale: bool, gate_source: GateSource
    ) -> None:
        super().__init__()
        self.gate_source = gate_source
        self.spatial: nn.Module = nn.Conv2d(channels, channels, 1)
        if use_multi_scale:
            self.spatial = MultiScale(channels, (1, 3, 5, 7), use_sum=True)
        self.query = nn.Conv2d(channels, channels, 1)
        self.value = WrittenValues(channels, hidden, use_fft=use_fft)
        self.excitation = Excitation(channels, hidden)

    def attention(self, maps: Tensor) -> Tensor:
        """Return A, (N, C, H, W)."""
        return self._attention(maps, self.value(maps))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the gated values and the residual."""
        values: Tensor = self.value(maps)
        fused = self._attention(maps, values) * values
        return fused * self.excitation.gate(values if self.gate_source == "values" else fused) + maps

    def _attention(self, maps: Tensor, values: Tensor) -> Tensor:
        query: Tensor = self.query(self.spatial(maps))
        return observe(self, "attention", torch.sigmoid(query * values))
