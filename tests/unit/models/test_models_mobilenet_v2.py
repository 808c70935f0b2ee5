from __future__ import annotations

import pytest
import torch

from mien.models import registry
from mien.models.backbones.mobilenet_v2 import InvertedResidual, rounded_channels


def torchvision_names() -> set[str]:
    """The parameter names of torchvision's MobileNetV2."""

    def norm(prefix: str) -> set[str]:
        return {f"{prefix}.weight", f"{prefix}.bias"}

    def layer(prefix: str) -> set[str]:
        return {f"{prefix}.0.weight"} | norm(f"{prefix}.1")

    names = layer("features.0") | layer("features.18") | {"classifier.1.weight", "classifier.1.bias"}
    for block in range(1, 18):
        prefix, layers = f"features.{block}.conv", 1 if block == 1 else 2
        for number in range(layers):
            names |= layer(f"{prefix}.{number}")
        names |= {f"{prefix}.{layers}.weight"} | norm(f"{prefix}.{layers + 1}")
    return names


def test_parameters_have_torchvisions_names():
    with torch.device("meta"):
        network = registry.create("mobilenet_v2")
    assert {key for key, _ in network.named_parameters()} == torchvision_names()
    assert network.classifier_name == "classifier.1"


def test_stages_at_the_published_input():
    network = registry.create("mobilenet_v2").eval()
    shapes, maps = {}, torch.zeros(1, 1, 224, 224)
    with torch.no_grad():
        for name in network.stage_names:
            maps = network.run_stage(name, maps)
            shapes[name] = tuple(maps.shape[1:])
    assert shapes == {
        "stem": (32, 112, 112),
        "stage1": (16, 112, 112),
        "stage2": (24, 56, 56),
        "stage3": (32, 28, 28),
        "stage4": (64, 14, 14),
        "stage5": (96, 14, 14),
        "stage6": (160, 7, 7),
        "stage7": (320, 7, 7),
    }
    assert network.pool(maps).shape == (1, 1280)


@pytest.mark.parametrize(
    ("given", "wanted"), [(16, 16), (8, 8), (1, 8), (12, 16), (33.6, 32), (22.4, 24), (11.2, 16), (48, 48)]
)
def test_channels_are_rounded_to_eight_but_never_lose_a_tenth(given, wanted):
    assert rounded_channels(given) == wanted
    assert rounded_channels(given) >= 0.9 * given


def test_width_and_strides_are_options():
    network = registry.create(
        "mobilenet_v2", options={"width": 0.5, "stem_stride": 1, "strides": [1, 2, 2, 1, 1, 2, 1]}
    )
    assert [(stage.channels, stage.stride) for stage in network.stages] == [
        (16, 1),
        (8, 1),
        (16, 2),
        (16, 4),
        (32, 4),
        (48, 4),
        (80, 8),
        (160, 8),
    ]
    assert network.smallest_input == 8
    assert network.feature_size == 1280
    wide = registry.create("mobilenet_v2", options={"width": 1.4})
    assert wide.feature_size == 1792
    assert wide.eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 7)


@torch.no_grad()
def test_initial_weights_keep_the_size_of_the_signal():
    torch.manual_seed(0)
    network = registry.create("mobilenet_v2").eval()
    spread = network.maps(torch.randn(2, 1, 64, 64)).std()
    assert 0.05 < spread < 50


def test_zero_gamma_starts_each_block_with_a_shortcut_as_that_shortcut():
    network = registry.create("mobilenet_v2", options={"width": 0.35, "use_zero_gamma": True}).eval()
    blocks = [block for block in network.modules() if isinstance(block, InvertedResidual)]
    assert sum(block.use_shortcut for block in blocks) == 10
    for block in blocks:
        maps = torch.rand(1, block.conv[0][0].in_channels, 6, 6)
        assert torch.equal(block(maps), maps) == block.use_shortcut
    plain = registry.create("mobilenet_v2", options={"width": 0.35})
    assert all(block.conv[-1].weight.min() == 1 for block in plain.modules() if isinstance(block, InvertedResidual))
