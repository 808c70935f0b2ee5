"""Depthwise convolutions: nn.Conv2d's, and in 32 bits where a processor's bf16 would be slow."""

import pytest
import torch
import torch.nn.functional as F

from mien.models.layers.depthwise import DepthwiseConv2d

SLOW = [pytest.param(2, 8, id="strided"), pytest.param(1, 2, id="smaller than the kernel")]


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.randn(2, 6, 8, 8)


@pytest.mark.parametrize("stride", [1, 2])
def test_it_equals_torchs_convolution(maps, stride):
    conv = DepthwiseConv2d(6, 3, stride)
    assert torch.equal(conv(maps), F.conv2d(maps, conv.weight, stride=stride, padding=1, groups=6))


@pytest.mark.parametrize(("stride", "side"), SLOW)
def test_slow_cases_are_computed_in_32_bits_and_keep_the_type(maps, stride, side):
    conv = DepthwiseConv2d(6, 3, stride)
    given = maps[:, :, :side, :side].bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = conv(given)
    assert torch.equal(output, conv(given.float()).bfloat16())
    output.float().sum().backward()
    assert given.grad is not None
    assert given.grad.dtype == torch.bfloat16
    assert conv.weight.grad is not None
    assert conv.weight.grad.dtype == torch.float32


def test_the_rest_is_computed_in_16_bits(maps):
    conv = DepthwiseConv2d(6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output = conv(maps)
    assert torch.equal(output, F.conv2d(maps.bfloat16(), conv.weight.bfloat16(), padding=1, groups=6))
