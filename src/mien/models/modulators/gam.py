"""GAM, the global attention mechanism (Liu, Shao and Hoffmann 2021): weights for every value, without pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.layers.observing import observe
from mien.models.modulators import Modulator, check_odd
from mien.models.network import Stage


class GAM(Modulator):
    r"""Weight every value twice: by the channels at its position, then by its neighbourhood.

    .. math::
        F_2 &= M_c(F_1) \odot F_1, \qquad M_c(F)_{\cdot hw} = \sigma(\mathrm{MLP}(F_{\cdot hw})) & \text{Eq. (1)} \\
        F_3 &= M_s(F_2) \odot F_2, \qquad
        M_s(F) = \sigma(\mathrm{BN}(W_2 * \mathrm{ReLU}(\mathrm{BN}(W_1 * F)))) & \text{Eq. (2)}

    where the MLP reduces the C channels of each position by r, applies ReLU and restores them, and both convolutions
    are 7 x 7, :math:`W_1` to C / r channels and :math:`W_2` back to C.

    Source: Liu, Shao and Hoffmann, "Global attention mechanism: Retain information to enhance channel-spatial
    interactions", arXiv 2112.05561, 2021. Norms, biases and r = 4 are those of its published code. Several copies of it
    leave out the first sigmoid; here it is kept, as in the paper's Figure 2.

    Args:
        stage: The stage that it follows; C is its channels.
        reduction: r.
        kernel: Kernel of both convolutions, odd.
        groups: Groups of both convolutions; above 1 the channels are shuffled between the two, by which the paper saves
            parameters in wide networks.
    """

    def __init__(self, stage: Stage, *, reduction: int = 4, kernel: int = 7, groups: int = 1) -> None:
        super().__init__(stage)
        check_odd(kernel)
        channels, hidden = stage.channels, self.reduced_channels(reduction)
        if groups < 1 or channels % groups or hidden % groups:
            raise ValueError(f"groups is {groups}; it must divide {channels} and {hidden} channels.")
        self.groups = groups
        self.excitation = Excitation(channels, hidden, use_bias=True)
        self.conv1 = nn.Conv2d(channels, hidden, kernel, padding=kernel // 2, groups=groups)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, kernel, padding=kernel // 2, groups=groups)
        self.bn2 = nn.BatchNorm2d(channels)

    def channel_weights(self, maps: Tensor) -> Tensor:
        """Return M_c, (N, C, H, W) in (0, 1), of a map of that shape."""
        scores: Tensor = self.excitation(maps.permute(0, 2, 3, 1))
        return torch.sigmoid(scores).permute(0, 3, 1, 2)

    def spatial_weights(self, maps: Tensor) -> Tensor:
        """Return M_s, (N, C, H, W) in (0, 1), of a map of that shape."""
        hidden = F.relu(self.bn1(self.conv1(maps)))
        if self.groups > 1:
            # spread each group's channels over all groups of the second convolution
            n, channels, height, width = hidden.shape
            hidden = hidden.reshape(n, self.groups, channels // self.groups, height, width)
            hidden = hidden.transpose(1, 2).flatten(1, 2)
        return observe(self, "spatial", torch.sigmoid(self.bn2(self.conv2(hidden))))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted map (N, C, H, W)."""
        maps = maps * self.channel_weights(maps)
        return maps * self.spatial_weights(maps)
