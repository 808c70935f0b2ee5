"""ResEmoteNet: three plain convolutions, squeeze and excitation, and three wide residual blocks.

Source: Roy, Kathania, Sharma, Dey and Ansari, "ResEmoteNet: Bridging Accuracy and Loss Reduction in Facial Emotion
Recognition", IEEE Signal Processing Letters, 2024, doi 10.1109/LSP.2024.3521321. A comparator of SPAYOLO's Tables 2 and
3 and of its Fig. 5.

Exact count with 3 input channels and 7 classes: 80,238,599 parameters, the 80.24 M that SPAYOLO prints.

Deviations: poolings round sizes up, so that any input works; the same for multiples of 8. Widths that the text leaves
open are those of the public code, as are the biases of all convolutions and the three hidden linear layers.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.excitation import Excitation
from mien.models.network import Network, NetworkSpec, Stage


class WideBlock(nn.Module):
    r"""Two 3 x 3 convolutions and a 1 x 1 convolution as the shortcut, each with bias and batch norm.

    Shape: (N, in_channels, H, W) -> (N, out_channels, ceil(H / 2), ceil(W / 2)).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, 2), nn.BatchNorm2d(out_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output."""
        hidden = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(maps))


class ResEmoteNet(Network):
    """ResEmoteNet.

    Stages: `stem`, `stage1` and `stage2` are a convolution with a pooling each (w, 2 w, 4 w channels at strides 2, 4
    and 8; squeeze and excitation after the last), `stage3` to `stage5` the residual blocks (8 w, 16 w, 32 w at strides
    16, 32 and 64). Features: the output of the third hidden linear layer, 4 w.

    Args:
        num_classes: Number of logits.
        in_channels: Channels of the images.
        width: w.
        map_dropout: Probability of dropping a value after the first two poolings.
        dropout: Probability of dropping a value after each hidden linear layer.
        reduction: Channels over middle channels of the squeeze and excitation.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        *,
        num_classes: int = 7,
        in_channels: int = 1,
        width: int = 64,
        map_dropout: float = 0.2,
        dropout: float = 0.5,
        reduction: int = 16,
    ) -> None:
        if width < 4 or not 1 <= reduction <= 4 * width:
            raise ValueError(f"width is {width} and reduction {reduction}; 4 x width must be at least both, and 16.")
        channels = [width * 2**i for i in range(6)]
        names = ("stem", *(f"stage{i}" for i in range(1, 6)))
        stages = [Stage(name, c, 2 ** (i + 1)) for i, (name, c) in enumerate(zip(names, channels, strict=True))]
        super().__init__(stages, in_channels=in_channels, num_classes=num_classes, feature_size=4 * width)
        self.map_dropout = nn.Dropout(map_dropout)
        for name, before, after in zip(names, (in_channels, *channels), channels, strict=False):
            plain = [nn.Conv2d(before, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU()]
            self.add_module(name, nn.Sequential(*plain) if after <= 4 * width else WideBlock(before, after))
        self.excitation = Excitation(4 * width, 4 * width // reduction)
        self.hidden = nn.ModuleList(nn.Linear(32 * width // 2**i, 16 * width // 2**i) for i in range(3))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(4 * width, num_classes)

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        """Return one stage's output."""
        maps = super().run_stage(name, maps)
        if name not in ("stem", "stage1", "stage2"):
            return maps
        pooled = F.max_pool2d(maps, 2, ceil_mode=True)
        if name == "stage2":
            return pooled * self.excitation.gate(pooled)
        dropped: Tensor = self.map_dropout(pooled)
        return dropped

    def pool(self, maps: Tensor) -> Tensor:
        """Return the features (N, D): the mean over all positions through the hidden linear layers."""
        features = super().pool(maps)
        for number, layer in enumerate(self.hidden):
            features = F.relu(layer(features if not number else self.dropout(features)))
        return features


NETWORKS = (
    NetworkSpec(
        name="resemotenet",
        build=ResEmoteNet,
        paper="Roy et al. 2024, ResEmoteNet: Bridging Accuracy and Loss Reduction in Facial Emotion Recognition",
        summary="Three convolutions, squeeze and excitation, three wide residual blocks; width is an option.",
        input=(3, 64, 64),
    ),
)
