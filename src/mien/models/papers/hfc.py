"""HFC attention's networks: ResNet-18 and MobileNetV2 with a module between every two big blocks.

Source: Kim and Jo, "Spatial Attention Network with High Frequency Component for Facial Expression Recognition", 2024.

Exact parameter counts, relative to the plain backbones `resnet18` and `mobilenet_v2`:

=====================  ==========  ============
modules                ResNet-18   MobileNetV2
=====================  ==========  ============
HFC                    +708        +767
BAM                    +23,808     +11,192
=====================  ==========  ============

ResNet-18 has 11,173,831 parameters with 1 input channel and 7 classes (the paper's 11.17 M), 11,180,103 with 3.

The construction with all four counts: the modules follow the stem and every stage but the last ("between each big
block"), 4 in ResNet-18 (64, 64, 128, 256 channels) and 7 in MobileNetV2 (32, 16, 24, 32, 64, 96, 160); HFC's
convolutions have no biases; the compared BAM has *no batch norm at all*, no biases in its spatial branch, biases in
its channel branch, reduction 16 and dilation 4. These networks use that form; the modulator `bam` itself defaults to
Park et al.'s, with batch norm.

Ablations (Table 1): `modulators = {stem = {name = "hfc", query = "lfc"}, ...}` with `query` "lfc", "both" or "both_hl"
at all four places.

Deviations: the filter's radius is ours, see `mien.models.modulators.hfc`. The backbones have He's initialization, the
modules PyTorch's default.
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

NETWORKS = tuple(
    NetworkSpec(
        name=f"{backbone}_{suffix}",
        build=build,
        paper=PAPER,
        summary=f"{title} with {count} {description}.",
        input=INPUT,
        modulators=dict.fromkeys(places, modulator),
    )
    for backbone, build, title, count, places in (
        ("resnet18", ResNet, "ResNet-18", "four", RESNET_PLACES),
        ("mobilenet_v2", MobileNetV2, "MobileNetV2", "seven", MOBILENET_PLACES),
    )
    for suffix, modulator, description in (
        ("bam", BAM, "BAMs in the HFC paper's form, without batch norm"),
        ("hfc", "hfc", "gates from singular values and high frequencies"),
    )
)
