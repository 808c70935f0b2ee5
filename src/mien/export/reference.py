"""Untrained networks as .onnx files in memory: what latency and memory are compared with.

Speed does not depend on the weights, so they are random.
"""

from __future__ import annotations

import torch
from torch import nn

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import FER2013_LABELS
from mien.export.onnx import make_onnx
from mien.models.registry import create

NAMES = {"resnet18": "ResNet-18", "mobilenet_v2": "MobileNetV2"}


def reference_onnx(network: str = "resnet18") -> bytes:
    """Return an untrained network, a key of `NAMES`: `images` (N, 3, 224, 224) in, `logits` (N, 7) out."""
    card = ModelCard(f"{NAMES[network]} (untrained)", network, FER2013_LABELS, InputSpec(224, 3), CropSpec())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = create(network, num_classes=card.outputs, in_channels=3)
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):  # equal biases would be stored once
                nn.init.normal_(module.bias, std=0.01)
        return make_onnx(built, card)
