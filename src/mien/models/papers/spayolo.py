"""SPAYOLO: YOLOv8s-cls with one spectral-spatial attention module after the stride-16 stage.

Source: Ma, Lin, Qian, You and Gao, "Spectral-spatial feature fusion for real-time facial expression recognition",
Scientific Reports, 2025; details from the paper's released code where its text is silent.

Verified to the unit, with 3 input channels and 7 classes: 5,745,639 parameters, of which 655,936 are the module's.
The paper's 14.4 GFLOPs are the framework's own figure for a 640-pixel input, `complexity.yolo_gflops`. At the 224
pixels that the network is trained at, it takes 1.78 GFLOPs, and 1.52 without the module: two for each
multiply-accumulate of convolutions, linear layers and products of two maps.

Ablations: `modulators = {stage3 = "none"}` is the baseline of Table 4; `{name = "spam", use_fft = false}` and
`use_multi_scale = false` are its rows 3 and 4; `form = "elementwise"` is the module as the paper's equations have it;
any other stage or modulator goes too.

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
