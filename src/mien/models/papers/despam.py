"""DeSpaM: its backbone with one decomposed spatial modulator after the second stage.

Source: Lee, Kim and Lee, "Decomposed Spatial Modulator for Efficient Facial-Expression Recognition", IEEE
Signal Processing Letters 33, 2026, doi 10.1109/LSP.2026.3690096.

Exact counts, with 3 input channels and 7 classes: 1,312,339 parameters in training, 1,279,439 folded; 0.641 G
multiply-accumulates folded, at 112 x 112. The construction with both parameter counts: no convolution has a bias in
training; each branch of a RepConv has its own batch norm; the identity branch exists exactly where channels and
resolution stay the same (the depthwise convolutions of the blocks); folded, *every* batch norm becomes a bias, also the
pointwise ones and the head's, while the gate's 3 x 3 convolution has none.

Ablations: remove the modulator with `modulators = {stage2 = "none"}`, replace it by another (the letter's comparison),
move it to another stage, or change its `reduction`, `kernel` and dropouts. The backbone's `depths`, `channels`,
`kernel` and `expansion` are options.

Found where: the gate, its place and the comparison in the letter's figure and abstract; depths, channels, RepConv, the
ReLU after the stem, He's initialization by fan-out, and all settings of the recipes in the authors' public code.

Deviations: ReLU follows the RepConvs of the down-sampling too, as it follows those of the stem, the blocks and the
modulator; no count depends on it.
"""

from __future__ import annotations

from mien.models.backbones.despam import DeSpaMBackbone
from mien.models.network import NetworkSpec

NETWORKS = (
    NetworkSpec(
        name="despam",
        build=DeSpaMBackbone,
        paper="Lee et al. 2026, Decomposed Spatial Modulator for Efficient Facial-Expression Recognition",
        summary="Depthwise 7x7 residual net with one full-resolution spatial gate; folds for deployment.",
        input=(3, 112, 112),
        modulators={"stage2": "despam"},
    ),
)
