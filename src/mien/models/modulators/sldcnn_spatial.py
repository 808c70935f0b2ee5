"""SLDCNN's spatial attention unit (Li et al. 2025): one mask from the maps of every layer of a dense block."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.models.layers.observing import observe
from mien.models.layers.pre_activation import PreNorm
from mien.models.modulators import Modulator, check_odd
from mien.models.network import Stage


class SLDCNNSpatial(Modulator):
    r"""Amplify positions by a mask computed from each of the maps that a dense block concatenates.

    .. math::
        G_j &= [H_j^0, \dots, H_j^n] \\
        M^i &= [\mathrm{avg}_c H_j^i;\ \max\nolimits_c H_j^i] \in \mathbb{R}^{2 \times H \times W} & \text{Eq. (17)} \\
        S^i &= \mathrm{DilatedConv}(W, M^i) \in \mathbb{R}^{D \times H \times W} & \text{Eq. (18), (19)} \\
        S &= [S^0, \dots, S^n] & \text{Eq. (20)} \\
        m &= \sigma(W^p S) \in (0, 1)^{1 \times H \times W} & \text{Eq. (21) to (23)} \\
        F_j &= (1 + m) \odot G_j & \text{Eq. (24)}

    where the parts :math:`H_j^i` are `Stage.parts`; a stage without parts is one part. As in the equations, neither
    convolution has a bias.

    With `use_main_branch`, :math:`F_j = (1 + m) \odot B(G_j)`, where B is the bottleneck of section 4.3(2): 1 x 1 to
    C / `reduction` channels, 3 x 3, 1 x 1 back to C, with batch norm and ReLU before each. The mask is still computed
    from :math:`G_j`.

    Source: Li, Sun, Liu, Wang and Zhou 2025, section 3.3; full reference in `mien.models.papers.sldcnn`.

    Deviations: D and the dilation :math:`\varepsilon` are not given. D = 1 is ours. Table 1 has a 7 x 7 kernel with
    padding 3, which keeps the map's size at dilation 1 only. So 1 is the default, although the text speaks of a dilated
    convolution; another dilation has 3 times itself as padding. The one :math:`W` of Eq. (18) is shared by the parts.
    Section 4.3(2) gives the unit a main branch beside the mask branch, while section 4.3 says that it tracks regions
    "without increasing the number of parameters" and Eq. (24) weights :math:`G_j` itself: the branch is an option. Its
    reduction of 16 is ours, as are its norms, those of the dense layers.

    Args:
        stage: The stage that it follows.
        kernel: Kernel of the dilated convolution, odd.
        dilation: Its dilation.
        maps: D, its output channels for each part.
        use_shared_kernel: Use one W for all parts; otherwise one for each.
        use_main_branch: Convolve G before it is weighted.
        reduction: C over the middle channels of the main branch.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        stage: Stage,
        *,
        kernel: int = 7,
        dilation: int = 1,
        maps: int = 1,
        use_shared_kernel: bool = True,
        use_main_branch: bool = False,
        reduction: int = 16,
    ) -> None:
        super().__init__(stage)
        check_odd(kernel)
        if dilation < 1 or maps < 1:
            raise ValueError(f"dilation and maps are {dilation} and {maps}; both must be at least 1.")
        self.parts = stage.parts or (stage.channels,)
        if sum(self.parts) != stage.channels:
            raise ValueError(f"stage '{stage.name}' has parts of {sum(self.parts)} and {stage.channels} channels.")
        self.use_shared_kernel = use_shared_kernel
        count = len(self.parts)
        groups = 1 if use_shared_kernel else count
        padding = dilation * (kernel // 2)
        self.context = nn.Conv2d(2 * groups, maps * groups, kernel, 1, padding, dilation, groups, bias=False)
        self.point = nn.Conv2d(maps * count, 1, 1, bias=False)
        self.main: nn.Module | None = None
        if use_main_branch:
            self.main = _make_bottleneck(stage.channels, self.reduced_channels(reduction))

    def mask(self, maps: Tensor) -> Tensor:
        """Return m, (N, 1, H, W) in (0, 1), of a map (N, C, H, W)."""
        parts = torch.split(maps, list(self.parts), dim=1)
        pooled = [torch.cat([p.mean(dim=1, keepdim=True), p.amax(dim=1, keepdim=True)], dim=1) for p in parts]
        if self.use_shared_kernel:
            by_part = self.context(torch.stack(pooled, dim=1).flatten(0, 1))
            context = by_part.reshape(-1, self.point.in_channels, *by_part.shape[-2:])
        else:
            context = self.context(torch.cat(pooled, dim=1))
        return observe(self, "mask", torch.sigmoid(self.point(context)))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the amplified map (N, C, H, W)."""
        weights = 1 + self.mask(maps)
        return (maps if self.main is None else self.main(maps)) * weights


def _make_bottleneck(channels: int, middle: int) -> nn.Sequential:
    return nn.Sequential(
        PreNorm(channels),
        nn.ReLU(),
        nn.Conv2d(channels, middle, 1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, middle, 3, padding=1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, channels, 1, bias=False),
    )
