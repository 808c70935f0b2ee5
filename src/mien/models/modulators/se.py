"""SE, squeeze and excitation (Hu et al. 2018): one weight for each channel."""

from __future__ import annotations

from torch import Tensor

from mien.models.layers.excitation import Excitation
from mien.models.modulators import Modulator
from mien.models.network import Stage


class SE(Modulator):
    r"""Weight each channel by a gate computed from the means of all channels.

    .. math::
        z_c &= \frac{1}{HW} \sum_{h,w} x_{chw} & \text{Eq. (2)} \\
        s &= \sigma(W_2\, \mathrm{ReLU}(W_1 z)) \in (0, 1)^C & \text{Eq. (3)} \\
        y_c &= s_c\, x_c & \text{Eq. (4)}

    where :math:`W_1` has C / r rows and r is `reduction`.

    Source: Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018.

    Deviations: none. The equations have no biases; many implementations do, hence the option.

    Args:
        stage: The stage that it follows; C is its channels.
        reduction: C over the hidden channels; 16 in the paper.
        use_bias: Add a bias to both linear layers.
    """

    def __init__(self, stage: Stage, *, reduction: int = 16, use_bias: bool = False) -> None:
        super().__init__(stage)
        hidden = self.reduced_channels(reduction)
        self.excitation = Excitation(stage.channels, hidden, use_bias=use_bias)

    def weights(self, maps: Tensor) -> Tensor:
        """Return s, (N, C, 1, 1) in (0, 1), of a map (N, C, H, W)."""
        return self.excitation.gate(maps)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted map (N, C, H, W)."""
        return maps * self.weights(maps)
