from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.complexity import count_macs, count_parameters


def on_meta(name, **choices):
    with torch.device("meta"):
        return registry.create(name, in_channels=3, **choices)


def yolo_gflops(network):
    """YOLO's own figure for 640 pixels: counted at 32, batch norms too (4 per value), scaled by the area."""
    norms = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: norms.append(4 * output.numel()))
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32, device="meta"))
    for hook in hooks:
        hook.remove()
    return 2e-9 * (count_macs(network, 32, 3) + sum(norms)) * 20**2


class Products(TorchFunctionMode):
    """Adds up the multiply-accumulates of products of two batches of matrices."""

    macs = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if func in (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__) and min(a.ndim for a in args) >= 3:
            self.macs += output.numel() * args[0].shape[-1]
        return output


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
    assert count_macs(on_meta("despam").folded(), 112, 3) == pytest.approx(0.641e9, rel=1e-3)
    assert count_macs(on_meta("resnet18", num_classes=1000), 224, 3) == pytest.approx(1.814e9, rel=1e-3)


def test_counting_does_not_change_the_network():
    network = registry.create("resnet18", options={"width": 8}).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count_macs(network, 48, 1)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_input_that_does_not_fit_is_an_error():
    with pytest.raises(ModelError, match="smallest input is 32 x 32"):
        count_macs(registry.create("resnet18", options={"width": 8}), 31, 1)


@pytest.mark.parametrize(("name", "gflops"), [("spayolo", 1.78), ("yolov8s_cls", 1.52)])
def test_spayolos_published_figures_at_224_pixels(name, gflops):
    network = on_meta(name).eval()
    with torch.no_grad(), Products() as products:
        network(torch.zeros(1, 3, 224, 224, device="meta"))
    assert 2e-9 * (count_macs(network, 224, 3) + products.macs) == pytest.approx(gflops, abs=0.005)


def test_spayolos_published_figure_at_640_pixels():
    assert yolo_gflops(on_meta("spayolo")) == pytest.approx(14.4, abs=0.05)


@pytest.mark.parametrize(("letter", "published"), [("n", 4.3), ("s", 13.5), ("m", 42.7)])
def test_yolos_published_figures(letter, published):
    folded = on_meta(f"yolov8{letter}_cls", num_classes=1000).folded()
    assert yolo_gflops(folded) == pytest.approx(published, abs=0.05)
