from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.complexity import count_macs, count_parameters, yolo_gflops


def test_parameters_of_a_layer_and_shared_tensors_once():
    layer = nn.Conv2d(3, 5, 3)
    assert count_parameters(layer) == 5 * 3 * 9 + 5
    assert count_parameters(nn.ModuleList([layer, layer])) == 140


def test_macs_by_hand():
    options = {"depths": [1], "multipliers": [1], "strides": [1], "width": 2, "stem": "small"}
    network = registry.create("resnet18", num_classes=3, options=options)
    # Stem 2x1x9, two convolutions 2x2x9, all on a 4x6 map of an 8x12 image; linear 2x3.
    assert count_macs(network, (8, 12), 1) == 24 * (18 + 36 + 36) + 6


def test_macs_of_the_published_networks():
    despam = registry.create("despam", in_channels=3).folded()
    assert count_macs(despam, 112, 3) == pytest.approx(0.641e9, rel=1e-3)
    resnet = registry.create("resnet18", num_classes=1000, in_channels=3)
    assert count_macs(resnet, 224, 3) == pytest.approx(1.814e9, rel=1e-3)


def test_counting_leaves_the_network_as_it_was():
    network = registry.create("resnet18", options={"width": 8}).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count_macs(network, 48, 1)
    assert network.training
    assert network.fc.weight.device.type == "cpu"
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_input_that_does_not_fit_is_told():
    with pytest.raises(ModelError, match="smallest input is 32 x 32"):
        count_macs(registry.create("resnet18", options={"width": 8}), 31, 1)


def test_kinds_by_hand():
    options = {"depths": [1], "multipliers": [1], "strides": [1], "width": 2, "stem": "small"}
    network = registry.create("resnet18", num_classes=3, options=options)
    assert count_macs(network, (8, 12), 1, kinds=("convolution",)) == 24 * 90
    assert count_macs(network, (8, 12), 1, kinds=("linear",)) == 6
    # Three norms of 2 channels on a 4x6 map, 4 for each value.
    assert count_macs(network, (8, 12), 1, kinds=("norm",)) == 24 * 2 * 3 * 4
    assert count_macs(network.folded(), (8, 12), 1, kinds=("norm",)) == 0
    assert count_macs(network, (8, 12), 1, kinds=("product",)) == 0
    assert count_macs(network, (8, 12), 1, kinds=()) == 0


def test_products_of_two_maps_are_no_transforms():
    network = registry.create("spayolo", in_channels=3, options={"width": 0.125})
    # At stride 16: 4x6 positions of 64 channels, scores and weighted values; the spectrum does not count.
    assert count_macs(network, (64, 96), 3, kinds=("product",)) == 2 * 24 * 24 * 64


def test_spayolos_published_figures():
    with torch.device("meta"):
        network = registry.create("spayolo", in_channels=3)
        base = registry.create("yolov8s_cls", in_channels=3)
    kinds = ("convolution", "linear", "product")
    assert 2e-9 * count_macs(network, 224, 3, kinds=kinds) == pytest.approx(1.78, abs=0.005)
    assert 2e-9 * count_macs(base, 224, 3, kinds=kinds) == pytest.approx(1.52, abs=0.005)
    assert yolo_gflops(network, 3) == pytest.approx(14.4, abs=0.05)
    # The convolutions alone explain most of it.
    assert 2e-9 * count_macs(network, 640, 3, kinds=("convolution",)) == pytest.approx(14.22, abs=0.005)


@pytest.mark.parametrize(("letter", "published"), [("n", 4.3), ("s", 13.5), ("m", 42.7)])
def test_yolos_published_figures(letter, published):
    with torch.device("meta"):
        network = registry.create(f"yolov8{letter}_cls", num_classes=1000, in_channels=3)
    assert yolo_gflops(network.folded(), 3) == pytest.approx(published, abs=0.05)
    assert yolo_gflops(network.folded(), 3, input_size=320) == pytest.approx(published / 4, abs=0.05 / 4)
