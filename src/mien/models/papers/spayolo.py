"""SPAYOLO: YOLOv8s-cls with one spectral-spatial attention module after the stride-16 stage.

Source: Ma, Lin, Qian, You and Gao, "Spectral-spatial feature fusion for real-time facial expression recognition",
Scientific Reports, 2025; details that the text leaves open are from the paper's released code.

Exact count, with 3 input channels and 7 classes: 5,745,639 parameters, of which 655,936 are the module's. The paper's
14.4 GFLOPs are the framework's own figure for a 640-pixel input: counted at 32 pixels, with 4 FLOPs for each value of a
batch norm, and scaled by the area. At the training size of 224 pixels the network takes 1.78 GFLOPs, and 1.52 without
the module: two for each multiply-accumulate of convolutions, linear layers and products of two maps.

Ablations: `modulators = {stage3 = "none"}` is the baseline of Table 4; `{name = "spam", use_fft = false}` and
`use_multi_scale = false` are its rows 3 and 4; `form = "elementwise"` is the module of the paper's equations.

Deviations: the paper places the module "typically at feature layers C3 or C4"; the released network has one, at C4.
"""

from __future__ import annotations

from mien.models.backbones.yolov8_cls import YoloV8Cls
from mien.models.network import NetworkSpec

NETWORKS = (
    NetworkSpec(
        name="spayolo",
        build=YoloV8Cls,
        paper="Ma et al. 2025, Spectral-spatial feature fusion for real-time facial expression recognition",
        summary="YOLOv8s classifier with attention over a spectrum at stride 16.",
        input=(3, 224, 224),
        modulators={"stage3": "spam"},
    ),
)
