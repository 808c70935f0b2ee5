"""DeSpaM: its backbone with one decomposed spatial modulator after the second stage.

Source: Lee, Kim and Lee, "Decomposed Spatial Modulator for Efficient Facial-Expression Recognition", IEEE
Signal Processing Letters 33, 2026, doi 10.1109/LSP.2026.3690096.

Verified to the unit, with 3 input channels and 7 classes: 1,312,339 parameters in training and 1,279,439
folded; 0.641 G multiply-accumulates folded, at 112 x 112. The construction that gives both counts: no
convolution has a bias in training; each branch of a RepConv has its own batch norm; the identity branch
exists exactly where channels and resolution stay (the depthwise convolutions of the blocks); folded, *every*
batch norm becomes a bias, the pointwise ones and the head's too, while the gate's 3 x 3 convolution has none.

Ablations: replace or remove the modulator with `modulators = {stage2 = "none"}` (or any other modulator,
which is the letter's comparison), move it to another stage, or change its `reduction`, `kernel` and
dropouts; the backbone's `depths`, `channels`, `kernel` and `expansion` are options.

Deviations: built from the letter's abstract and what its figure and released code settle. ReLU follows the
stem's and the down-sampling RepConvs as it does those of the blocks and the modulator; no count depends on
it. Weights start from PyTorch's defaults.
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
