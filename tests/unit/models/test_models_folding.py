from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.models.layers.folding import fold, norm_scale_and_shift
from mien.models.layers.rep_conv import RepConv

IMAGES = torch.zeros(1, 2, 4, 4)


class Pair(nn.Module):
    """Two convolutions with norms, and two norms that follow no convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=2, dilation=2)
        self.bn = nn.BatchNorm2d(3)
        self.tail = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU())
        self.norm = nn.BatchNorm2d(2)

    def forward(self, maps):
        return self.norm(self.tail(self.bn(self.conv(maps))))


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.fixture
def pair():
    torch.manual_seed(0)
    module = Pair()
    for norm in norms(module):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 3)
    return module.eval()


def test_norms_after_their_convolutions_fold_and_others_stay(pair):
    folded = fold(pair, IMAGES)
    images = torch.randn(2, 2, 7, 5)
    torch.testing.assert_close(folded(images), pair(images), rtol=1e-4, atol=1e-5)
    assert len(norms(folded)) == 2
    assert folded.conv.bias is not None
    assert folded.conv.dilation == (2, 2)


def test_folding_copies_and_can_be_repeated(pair):
    pair.train()
    folded = fold(pair, IMAGES)
    assert pair.training
    assert len(norms(pair)) == 4
    assert not folded.training
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    images = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(fold(folded, IMAGES)(images), folded(images))


def test_a_norm_without_statistics_cannot_fold():
    with pytest.raises(ValueError, match="without running statistics"):
        norm_scale_and_shift(nn.BatchNorm2d(2, track_running_stats=False))


@pytest.mark.parametrize(
    ("inside", "outside", "stride", "has_identity"), [(4, 4, 1, True), (4, 4, 2, False), (4, 8, 1, False)]
)
def test_the_identity_is_there_where_the_shape_stays(inside, outside, stride, has_identity):
    assert (RepConv(inside, outside, 3, stride=stride).identity_bn is not None) is has_identity


@pytest.mark.parametrize("kernel", [0, 1, 4])
def test_a_kernel_that_has_no_middle_is_refused(kernel):
    with pytest.raises(ValueError, match="odd and at least 3"):
        RepConv(4, 4, kernel)


class Shared(nn.Module):
    """A convolution whose output is read twice, one that runs twice, and one that may be folded."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 1, bias=False) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, maps):
        a = self.a(maps)
        first = self.norms[0](a) + a
        second = self.norms[1](self.b(self.b(first)))
        return self.norms[2](self.c(second))


@torch.no_grad()
def test_only_norms_that_are_a_convolutions_only_reader_are_folded():
    torch.manual_seed(0)
    network = Shared()
    for _ in range(5):
        network(torch.randn(8, 3, 4, 4))
    images = torch.randn(2, 3, 4, 5)
    wanted = network.eval()(images)
    folded = fold(network, images)
    torch.testing.assert_close(folded(images), wanted)
    assert [type(norm) is nn.BatchNorm2d for norm in folded.norms] == [True, True, False]
