"""SLDCNN: a light dense net with a spatial attention unit after every dense block, and its two ablations.

Source: Li, Sun, Liu, Wang and Zhou, "Dense-Attention CNN with Spatial-Attention Fusion for Robust Facial Expression
Recognition", Information Technology and Control 54(3), 2025, doi 10.5755/j01.itc.54.3.41283.

The paper's Table 2 compares `ldcnn` (no attention), `cldcnn` (channel attention, Eq. 10 to 12) and `sldcnn` (spatial
units, Eq. 17 to 24); its Table 3 the depths 12, 20, 32 and 44 (option `depth`). At depth 32, with 7 classes, `sldcnn`
has 1,773,035 parameters for grey images and 1,786,363 for colour: the paper's 1.78 M within 0.4 % both. The third
part of the paper, the intra-class distance penalty, is the loss `intra_class_distance`.

Deviations: the paper does not say where the channel attention is; here it is in the places of the spatial units. For
the widths and the rest of the dense net see `mien.models.backbones.dense`. The catalogue's input is grey, as in both
public data sets.
"""

from __future__ import annotations

from mien.models.backbones.dense import BLOCKS, DenseNet
from mien.models.network import NetworkSpec

PAPER = "Li et al. 2025, Dense-Attention CNN with Spatial-Attention Fusion for Robust Facial Expression Recognition"
INPUT = (1, 224, 224)
AFTER_EVERY_BLOCK = tuple(f"stage{i + 1}" for i in range(BLOCKS))

NETWORKS = tuple(
    NetworkSpec(
        name=name,
        build=DenseNet,
        paper=PAPER,
        summary=summary,
        input=INPUT,
        modulators=dict.fromkeys(AFTER_EVERY_BLOCK, modulator) if modulator else {},
    )
    for name, modulator, summary in (
        ("ldcnn", "", "SLDCNN's light dense net without attention."),
        ("cldcnn", "sldcnn_channel", "SLDCNN's light dense net with channel attention after every dense block."),
        ("sldcnn", "sldcnn_spatial", "Light dense net with a spatial attention unit after every dense block."),
    )
)
