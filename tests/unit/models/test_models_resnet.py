from __future__ import annotations

import pytest
import torch

from mien.models import registry


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 12), ("small", 24), ("full", 48)])
def test_the_stem_sets_the_resolution(stem, side):
    network = registry.create("resnet18", options={"width": 8, "stem": stem}).eval()
    images = torch.randn(1, 1, 48, 48)
    assert network.run_stage("stem", images).shape == (1, 8, side, side)
    assert network.maps(images).shape == (1, 64, -(-side // 8), -(-side // 8))
    assert network.stage("stem").stride == 48 // side


def test_depths_widths_and_strides_are_options():
    options = {"width": 8, "depths": [1, 3], "multipliers": [1.5, 3], "strides": [2, 2], "stem": "full"}
    network = registry.create("resnet18", num_classes=5, options=options).eval()
    assert [(s.name, s.channels, s.stride) for s in network.stages] == [
        ("stem", 8, 1),
        ("stage1", 12, 2),
        ("stage2", 24, 4),
    ]
    assert len(network.layer2) == 3
    assert network.features(torch.randn(2, 1, 17, 30)).shape == (2, 24)
    assert network(torch.randn(2, 1, 17, 30)).shape == (2, 5)


def test_zero_gamma_starts_each_block_as_its_shortcut():
    network = registry.create("resnet18", options={"width": 8, "use_zero_gamma": True}).eval()
    maps = torch.rand(1, 8, 6, 6)
    torch.testing.assert_close(network.layer1(maps), maps)
    assert registry.create("resnet18", options={"width": 8}).layer1[0].bn2.weight.min() == 1


def test_branches_fold_into_the_plain_network():
    plain, branched = (
        registry.create("resnet18", options={"width": 8, "stem": "small", "use_branches": use}) for use in (False, True)
    )
    counts = [sum(each.numel() for each in network.folded().parameters()) for network in (plain, branched)]
    assert counts[0] == counts[1]
    assert sum(each.numel() for each in branched.parameters()) > sum(each.numel() for each in plain.parameters())
    images = torch.randn(4, 1, 32, 32)
    for _ in range(3):
        branched(images)  # running statistics
    with torch.no_grad():
        torch.testing.assert_close(branched.folded()(images), branched.eval()(images), rtol=1e-3, atol=1e-4)
    kinds = [type(module).__name__ for module in branched.folded().modules()]
    assert "RepConv" not in kinds
    assert "BatchNorm2d" not in kinds


def test_weights_are_initialized_by_fan_out():
    torch.manual_seed(0)
    weight = registry.create("resnet18", options={"width": 64}).layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_dropout_acts_in_training_only_and_before_the_linear_layer():
    network = registry.create("resnet18", options={"width": 8, "dropout": 0.5})
    features = torch.ones(4, 64)
    assert not torch.equal(network.classify(features), network.classify(features))
    network.eval()
    assert torch.equal(network.classify(features), network.classify(features))
