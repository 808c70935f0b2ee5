"""The optional backbone against a stand-in for timm: its wrappers' interface, with small networks inside."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import nn

from mien.core.errors import ModelError, RecipeError
from mien.models import registry
from mien.models.catalogue import count_module
from mien.models.complexity import count_parameters
from mien.models.weights import load_weights


class Info:
    """timm's FeatureInfo."""

    def __init__(self, *rows):
        self.rows = rows

    def channels(self):
        return [row[0] for row in self.rows]

    def reduction(self):
        return [row[1] for row in self.rows]

    def module_name(self):
        return [row[2] for row in self.rows]


class BatchNormAct2d(nn.BatchNorm2d):
    """timm's batch norm with the activation inside."""

    def __init__(self, channels):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, maps):
        return self.act(self.drop(super().forward(maps)))


def block(before, after, stride=2):
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), BatchNormAct2d(after))


class FeatureListNet(nn.ModuleDict):
    """timm's wrapper that runs its modules in order and collects some outputs."""

    output_fmt = "Format.NCHW"

    def __init__(self, modules, info, ends):
        super().__init__(modules)
        self.feature_info = info
        self.return_layers = {name: str(i) for i, name in enumerate(ends)}
        self.default_cfg = {"input_size": (3, 32, 32)}

    def forward(self, maps):
        found = []
        for name, module in self.items():
            maps = module(maps)
            if name in self.return_layers:
                found.append(maps[0] if isinstance(maps, tuple) else maps)
        return found


class Permute(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, maps):
        return maps.permute(self.order)


class MobileNetV3Features(nn.Module):
    """timm's wrapper of the EfficientNet family."""

    feature_hooks = None

    def __init__(self, channels):
        super().__init__()
        self.conv_stem, self.bn1, self.act1 = nn.Conv2d(channels, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()
        self.blocks = nn.Sequential(block(4, 6), block(6, 6, 1), block(6, 8))
        self.feature_info = Info((4, 2, "bn1"), (6, 4, "blocks.1"), (8, 8, "blocks.2"))
        self.default_cfg = {"input_size": (3, 32, 32)}

    def forward(self, maps):
        first = self.act1(self.bn1(self.conv_stem(maps)))
        second = self.blocks[1](self.blocks[0](first))
        return [first, second, self.blocks[2](second)]


class FeatureGetterNet(nn.ModuleDict):
    """timm's wrapper of networks that collect their maps themselves, made for one size."""

    output_fmt = "NCHW"

    def __init__(self, channels, size):
        super().__init__({"model": nn.Sequential(nn.Conv2d(channels, 5, 16, 16))})
        self.position = nn.Parameter(torch.randn(1, 5, size // 16, size // 16))
        self.feature_info = Info((5, 16, "blocks.0"), (5, 16, "blocks.1"))
        self.default_cfg = {"input_size": (3, size, size), "fixed_input_size": True}

    def forward(self, maps):
        maps = self["model"](maps) + self.position
        return [maps, 2 * maps]


def list_net(channels):
    modules = {"conv1": nn.Conv2d(channels, 4, 3, 2, 1, bias=False), "bn1": nn.BatchNorm2d(4), "act1": nn.ReLU()}
    modules |= {"layers_0": block(4, 6), "layers_1": block(6, 8)}
    info = Info((4, 2, "act1"), (6, 4, "layers.0"), (8, 8, "layers.1"))
    return FeatureListNet(modules, info, ["act1", "layers_0", "layers_1"])


def last_channels_net(channels):
    """Works on (N, H, W, C), as timm's Swin does."""
    turn, back = (0, 2, 3, 1), (0, 3, 1, 2)
    modules = {"a": nn.Sequential(nn.Conv2d(channels, 4, 2, 2), Permute(*turn))}
    modules["b"] = nn.Sequential(Permute(*back), nn.Conv2d(4, 6, 2, 2), Permute(*turn))
    net = FeatureListNet(modules, Info((4, 2, "a"), (6, 4, "b")), ["a", "b"])
    net.output_fmt = "NHWC"
    return net


MODELS = {
    "mobilenetv3_small_100": MobileNetV3Features,
    "lists": list_net,
    "last_channels": last_channels_net,
    "one_size": FeatureGetterNet,
}
CUT = ["mobilenetv3_small_100", "lists", "last_channels"]


def create_model(name, *, pretrained, features_only, in_chans, **options):
    assert not pretrained
    assert features_only
    if name == "one_size":
        return FeatureGetterNet(in_chans, options.get("img_size", 32))
    if options:
        raise TypeError("got an unexpected keyword argument 'img_size'")
    return MODELS[name](in_chans)


@pytest.fixture
def timm(monkeypatch):
    stand_in = ModuleType("timm")
    stand_in.__spec__ = ModuleSpec("timm", None)
    stand_in.create_model = create_model
    stand_in.is_model = MODELS.__contains__
    stand_in.list_models = lambda: list(MODELS)
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    return stand_in


def create(model, **arguments):
    torch.manual_seed(0)
    network = registry.create("timm", options={"model": model}, **arguments)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2)
    return network.eval()


def images_for(network, n=2):
    return torch.randn(n, network.in_channels, *(network.fixed_size or (32, 48)))


def own_maps(network, images):
    maps = network.body(images)[-1]
    return maps.permute(0, 3, 1, 2) if network.is_channels_last else maps


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_stages_one_after_the_other_are_timms_network(timm, model, channels):
    network = create(model, in_channels=channels)
    images = images_for(network)
    torch.testing.assert_close(network.maps(images), own_maps(network, images))
    maps = images
    for stage in network.stages:
        maps = network.run_stage(stage.name, maps)
        height, width = images.shape[-2:]
        assert maps.shape == (2, stage.channels, height // stage.stride, width // stage.stride)
    assert network(images).shape == (2, 7)
    assert network.feature_size == network.stages[-1].channels
    assert bool(network.segments) == (model in CUT)


@pytest.mark.parametrize("model", CUT)
def test_modulators_go_after_every_stage(timm, model):
    names = create(model).stage_names
    assert names == tuple(f"stage{i}" for i in range(len(names)))
    plain, network = create(model), create(model, modulators={"stage0": {"name": "despam", "reduction": 1}})
    network.load_state_dict(plain.state_dict(), strict=False)
    images = images_for(plain)
    assert set(network.modulators) == {"stage0"}
    assert not torch.allclose(network(images), plain(images))


def test_a_network_that_cannot_be_split_has_its_last_stage(timm):
    assert create("one_size").stage_names == ("stage1",)
    with pytest.raises(ModelError, match=r"No stage 'stage0'.* Stages: stage1"):
        create("one_size", modulators={"stage0": "despam"})


@pytest.mark.parametrize("model", MODELS)
def test_training_reaches_the_weights_and_folding_keeps_the_function(timm, model):
    network = create(model)
    images = images_for(network)
    wanted, folded = network(images), network.folded()
    torch.testing.assert_close(folded(images), wanted, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert count_parameters(folded) == count_parameters(network) - sum(norm.num_features for norm in norms)
    network.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_fixed_size_is_checked_and_can_be_set(timm):
    network = registry.create("timm", options={"model": "one_size", "image_size": 48}).eval()
    assert network(torch.randn(1, 1, 48, 48)).shape == (1, 7)
    with pytest.raises(ModelError, match="of 32 x 48 pixels; it is made for 48 x 48: set its option image_size"):
        network(torch.randn(1, 1, 32, 48))


@pytest.mark.parametrize("model", ["lists", "mobilenetv3_small_100", "one_size"])
def test_timms_own_files_load(timm, model, tmp_path):
    given, network = create(model, num_classes=3), registry.create("timm", options={"model": model}).eval()
    state = {
        name.removeprefix("body.").removeprefix("model.").replace("layers_", "layers."): value
        for name, value in given.state_dict().items()
        if name.startswith("body.")
    }
    torch.save({**state, "head.weight": torch.zeros(10, 8)}, tmp_path / "timm.pth")
    notes = load_weights(network, tmp_path / "timm.pth")
    assert notes[1:] == [
        "ignored 1 that the network does not have: head.weight",
        f"the classifier fc keeps its initial values: it is not in the file, "
        f"and (7, {network.feature_size}), (7,) in the network",
    ]
    images = images_for(network)
    assert torch.equal(network.maps(images), given.maps(images))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "lits"}, "model is 'lits', which timm does not have. Did you mean 'lists'?"),
        ({"model": "hf-hub:someone/lists"}, "which timm does not have"),
        ({"model": "lists", "image_size": 64}, "unexpected keyword argument 'img_size'"),
        ({"image_size": -1}, "image_size is -1"),
        ({"model": 3}, "expected str"),
    ],
)
def test_unknown_models_and_options_of_timm_are_one_line(timm, options, words):
    with pytest.raises(RecipeError) as caught:
        registry.create("timm", options=options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_networks_without_feature_maps_are_refused(timm, monkeypatch):
    flat = FeatureListNet({"a": nn.Flatten()}, Info((4, 2, "a")), ["a"])
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: flat)
    with pytest.raises(RecipeError, match="gives no feature maps, but shapes"):
        registry.create("timm")


def test_it_is_listed_only_where_timm_is_installed_and_never_in_the_catalogue(timm, monkeypatch):
    assert "timm" in registry.names()
    assert not count_module("backbones.timm")
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not there
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    assert "timm" not in registry.names()
    with pytest.raises(ModelError, match=r"timm is not installed: pip install .*\[timm\]'"):
        registry.create("timm")


def test_a_broken_timm_is_an_error(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"timm cannot be imported \(RuntimeError: operator torchvision::nms"):
        registry.create("timm")


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_the_real_one():
    network = create("mobilenetv3_small_100")
    images = torch.randn(1, 1, 64, 48)
    assert [stage.channels for stage in network.stages] == [16, 16, 24, 48, 576]
    assert torch.equal(network.maps(images), own_maps(network, images))
