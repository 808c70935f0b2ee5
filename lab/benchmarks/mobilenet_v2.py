"""MobileNetV2 as an .onnx file in memory: a second reference for latencies besides ResNet-18.

It is the standard network (3 x 224 x 224 in) with seven outputs and folded batch normalisation: 2,215,783 parameters,
0.30 billion multiply-adds, random weights. Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018, Table 2.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mien.evaluation.reference import CARD, Graph

MOBILENET_CARD = dataclasses.replace(CARD, name="MobileNetV2 (untrained)", network="mobilenet_v2")
# Expansion, channels, number of blocks, stride of the first.
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2_onnx(seed: int = 0) -> bytes:
    """Return an untrained MobileNetV2: `images` (N, 3, 224, 224) in, `logits` (N, 7) out, both float32."""
    graph = Graph(seed)
    channels = 32
    x = _clip(graph, graph.convolve("images", (CARD.input.channels, channels), kernel=3, stride=2))
    for expansion, width, count, first_stride in BOTTLENECKS:
        for block in range(count):
            stride, inside = first_stride if block == 0 else 1, channels * expansion
            y = x if expansion == 1 else _clip(graph, graph.convolve(x, (channels, inside), 1))
            y = _clip(graph, graph.convolve(y, (inside, inside), 3, stride, group=inside))
            y = graph.convolve(y, (inside, width), 1)
            x = graph.add("Add", [x, y]) if (channels, stride) == (width, 1) else y
            channels = width
    x = _clip(graph, graph.convolve(x, (channels, 1280), 1))
    return graph.to_model(x, 1280, MOBILENET_CARD)


def _clip(graph: Graph, x: str) -> str:
    """Append ReLU6."""
    return graph.add("Clip", [x, *(graph.constant(f"limit_{limit:g}", np.array(limit)) for limit in (0.0, 6.0))])
