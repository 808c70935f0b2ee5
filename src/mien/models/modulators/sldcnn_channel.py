"""The channel attention of CLDCNN, the variant that SLDCNN's spatial unit is compared with (Li et al. 2025)."""

from __future__ import annotations

from torch import Tensor

from mien.models.layers.excitation import Excitation
from mien.models.modulators import Modulator
from mien.models.network import Stage


class SLDCNNChannel(Modulator):
    r"""Weight each channel after a dense block: squeeze and excitation as in section 3.2 of the paper.

    .. math::
        z_c &= \frac{1}{HW} \sum_{i,j} u_c(i, j) & \text{Eq. (10)} \\
        s &= \sigma(W_2\, \delta(W_1 z)) & \text{Eq. (11)} \\
        \tilde{x}_c &= s_c\, u_c & \text{Eq. (12)}

    where :math:`\delta` is ReLU and neither linear layer has a bias.

    Source: Li, Sun, Liu, Wang and Zhou 2025, section 3.2; full reference in `mien.models.papers.sldcnn`.

    Deviations: the text calls r = 16 "the compression ratio" and gives :math:`W_1` the shape c x r. These contradict
    each other: a ratio makes c / r hidden channels, the shape makes r. The ratio is followed, as in the module's source
    (Hu et al. 2018); `use_fixed_width` follows the shape.

    Args:
        stage: The stage that it follows; c is its channels.
        reduction: r.
        use_fixed_width: Use r hidden channels, not c / r.
    """

    def __init__(self, stage: Stage, *, reduction: int = 16, use_fixed_width: bool = False) -> None:
        super().__init__(stage)
        hidden = self.reduced_channels(reduction)
        self.excitation = Excitation(stage.channels, reduction if use_fixed_width else hidden)

    def weights(self, maps: Tensor) -> Tensor:
        """Return s, (N, C, 1, 1) in (0, 1), of a map (N, C, H, W)."""
        return self.excitation.gate(maps)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted map (N, C, H, W)."""
        return maps * self.weights(maps)
