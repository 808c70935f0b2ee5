"""HFC attention's networks: ResNet-18 and MobileNetV2 with a module between every two big blocks.

Source: Kim and Jo, "Spatial Attention Network with High Frequency Component for Facial Expression Recognition", 2024.

Verified to the unit, against the plain backbones `resnet18` and `mobilenet_v2`:

=====================  ==========  ============
modules                ResNet-18   MobileNetV2
=====================  ==========  ============
HFC                    +708        +767
BAM                    +23,808     +11,192
=====================  ==========  ============

ResNet-18 has 11,173,831 parameters with 1 input channel and 7 classes (the paper's 11.17 M), 11,180,103 with 3.

The construction that gives all four: the modules follow the stem and every stage but the last ("between each big
block"), 4 in ResNet-18 (64, 64, 128, 256 channels) and 7 in MobileNetV2 (32, 16, 24, 32, 64, 96, 160); HFC's
convolutions have no biases; the compared BAM has *no batch norm at all*, no biases in its spatial branch, biases in
its channel branch, reduction 16 and dilation 4. These networks use that form; the modulator `bam` by itself
defaults to Park et al.'s, with batch norm.

Ablations (Table 1): `modulators = {stem = {name = "hfc", query = "lfc"}, ...}` with `query` "lfc", "both" or "both_hl"
after every one of the four places.

Deviations: the filter's radius is ours, see `mien.models.modulators.hfc`. Weights start from He's initialisation, as
the backbones' do, and the modules' from PyTorch's defaults.
"""

from __future__ import annotations

from mien.models.backbones.mobilenet_v2 import MobileNetV2
from mien.models.backbones.resnet import ResNet
from mien.models.network import NetworkSpec

PAPER = "Kim and Jo 2024, Spatial Attention Network with High Frequency Component for Facial Expression Recognition"
INPUT = (1, 224, 224)
RESNET_PLACES = ("stem", "stage1", "stage2", "stage3")
MOBILENET_PLACES = ("stem", "stage1", "stage2", "stage3", "stage4", "stage5", "stage6")
BAM = {"name": "bam", "use_batch_norm": False, "use_spatial_bias": False}

NETWORKS = (
    NetworkSpec(
        name="resnet18_bam",
        build=ResNet,
        paper=PAPER,
        summary="ResNet-18 with four BAMs in the HFC paper's form, without batch norm.",
        input=INPUT,
        modulators=dict.fromkeys(RESNET_PLACES, BAM),
    ),
    NetworkSpec(
        name="resnet18_hfc",
        build=ResNet,
        paper=PAPER,
        summary="ResNet-18 with four gates from singular values and high frequencies.",
        input=INPUT,
        modulators=dict.fromkeys(RESNET_PLACES, "hfc"),
    ),
    NetworkSpec(
        name="mobilenet_v2_bam",
        build=MobileNetV2,
        paper=PAPER,
        summary="MobileNetV2 with seven BAMs in the HFC paper's form, without batch norm.",
        input=INPUT,
        modulators=dict.fromkeys(MOBILENET_PLACES, BAM),
    ),
    NetworkSpec(
        name="mobilenet_v2_hfc",
        build=MobileNetV2,
        paper=PAPER,
        summary="MobileNetV2 with seven gates from singular values and high frequencies.",
        input=INPUT,
        modulators=dict.fromkeys(MOBILENET_PLACES, "hfc"),
    ),
)
