"""A network twice as wide starts as the same function, with channels that differ."""

import torch

from lab.widen import widen
from mien.models import registry


def make(width):
    options = {"width": width, "multipliers": [1, 2, 3, 4], "stem": "small"}
    return registry.create("resnet18", num_classes=8, in_channels=1, options=options).eval()


def test_the_wide_network_computes_the_same_and_its_copies_of_a_channel_can_part():
    torch.manual_seed(0)
    narrow, wide = make(4), make(8)
    for norm in (part for part in narrow.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    widen(narrow, wide, torch.Generator().manual_seed(0))
    images = torch.randn(3, 1, 32, 32)
    torch.testing.assert_close(wide(images), narrow(images), rtol=1e-4, atol=1e-4)
    wide(images).square().sum().backward()
    gradient = wide.state_dict(keep_vars=True)["layer1.0.conv1.weight"].grad
    first, second = gradient.chunk(2)
    assert not torch.allclose(first, second, rtol=0.01)
