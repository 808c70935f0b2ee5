"""The parts' own maps of all papers' networks: names, sizes, ranges; observing changes nothing."""

import numpy as np
import pytest
import torch
from planted_stages import card_of
from torch import nn

from mien.core.errors import ModelError
from mien.explain.parts import part_maps
from mien.explain.torch_explainer import TorchExplainer
from mien.models import registry
from mien.models.layers.observing import LISTENER, observing
from mien.models.network import Network

SMALL_RESNET, SMALL_YOLO = {"width": 16, "depths": (1, 1, 1, 1)}, {"width": 0.125, "feature_size": 16}
GATE, SIGNED, SIZE = (0.0, 1.0), (-np.inf, np.inf), (0.0, np.inf)
STAGES = {"stem": (16, 24), "stage1": (16, 24), "stage2": (8, 12), "stage3": (4, 6), "stage4": (2, 3)}


def parts(*names, at=("stage3",), **limits):
    """Return the path of each part with the size of its map and its range."""
    return {f"{stage}/{name}": (STAGES[stage], limits[name.split("/")[-1]]) for stage in at for name in names}


SPAM = ("spam/attention", "spam/attended")
FOUR = ("stem", "stage1", "stage2", "stage3")
HEADS = {f"heads/{number}/spatial": ((2, 3), GATE) for number in range(4)}
# name of the network, options, modulators, the parts
NETWORKS = {
    "despam": ("despam", {"depths": (1, 1, 1)}, {}, {"stage2/despam/gate": ((16, 24), GATE)}),
    "sldcnn": (
        "sldcnn",
        {"depth": 8, "growth": 8},
        {},
        parts("sldcnn_spatial/mask", at=("stage1", "stage2", "stage3", "stage4"), mask=GATE),
    ),
    "daf_mhsca": (
        "daf_mhsca",
        {"width": 16},
        {},
        {"stage4/afc/positions": ((2, 3), GATE), "directional_attention/attention": ((2, 3), GATE), **HEADS},
    ),
    "spayolo": (
        "spayolo",
        SMALL_YOLO,
        {},
        parts("spam/spectrum", *SPAM, spectrum=SIZE, attention=GATE, attended=GATE),
    ),
    "spayolo without FFT": (
        "spayolo",
        SMALL_YOLO,
        {"stage3": {"name": "spam", "use_fft": False}},
        parts("spam/values", *SPAM, values=SIZE, attention=GATE, attended=GATE),
    ),
    "spayolo as written": (
        "spayolo",
        SMALL_YOLO,
        {"stage3": {"name": "spam", "form": "elementwise"}},
        parts("spam/spectrum", "spam/attention", spectrum=SIZE, attention=GATE),
    ),
    "resnet18_hfc": (
        "resnet18_hfc",
        SMALL_RESNET,
        {},
        parts("hfc/high_frequencies", "hfc/gate", at=FOUR, high_frequencies=SIGNED, gate=GATE),
    ),
    "resnet18_bam": ("resnet18_bam", SMALL_RESNET, {}, parts("bam/spatial_score", at=FOUR, spatial_score=SIGNED)),
    "cbam and gam": (
        "resnet18",
        SMALL_RESNET,
        {"stage2": "cbam", "stage3": "gam"},
        parts("cbam/spatial", at=("stage2",), spatial=GATE) | parts("gam/spatial", spatial=GATE),
    ),
}


def build(name, options, modulators):
    torch.manual_seed(0)
    return registry.create(name, options=options, modulators=modulators).eval()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(2, 1, 64, 96)).astype(np.float32)


@pytest.mark.parametrize("case", NETWORKS)
def test_every_part_has_its_map(case, images):
    name, options, modulators, wanted = NETWORKS[case]
    explainer = TorchExplainer(build(name, options, modulators), card_of(64, network=name))
    first, second = explainer.parts(images)
    assert {one.method for one in first} == set(wanted)
    assert len(first) == len(wanted)
    for one, other in zip(first, second, strict=True):
        size, (least, most) = wanted[one.method]
        assert one.values.shape == size
        assert least <= one.values.min()
        assert one.values.max() <= most
        assert one.is_signed == ((least, most) == SIGNED)
        assert one.label == ""
        assert one.layer in explainer.layers
        assert one.method == other.method
        assert not np.array_equal(one.values, other.values), "every face has its own"
    for one in first[:1]:
        (again,) = explainer.explain(images[:1], "parts", one.method)
        np.testing.assert_allclose(again.values, one.values, rtol=1e-4, atol=1e-6)


def test_a_gate_is_what_the_module_multiplies_by(images):
    network = build(*NETWORKS["despam"][:3])
    (found,) = TorchExplainer(network, card_of(64)).parts(images[:1])[0]
    with torch.no_grad():
        maps = torch.from_numpy(images[:1])
        for stage in ("stem", "stage1", "stage2"):
            maps = network.run_stage(stage, maps)
        wanted = network.modulators["stage2"].gate(maps)[0, 0].numpy()
    np.testing.assert_allclose(found.values, wanted, rtol=1e-5)
    assert (found.step, found.first) == ((4 / 64, 4 / 96), (0.5 / 64, 0.5 / 96))


def test_attention_of_positions_is_averaged_both_ways_and_frequencies_are_centred():
    attention = np.random.default_rng(0).random((1, 6, 6)).astype(np.float32)
    spectrum = np.zeros((1, 2, 2, 3), dtype=np.float32)
    spectrum[:, :, 0, 0] = -3
    outputs = {"s/spam/spectrum": ("s", spectrum), "s/spam/attention": ("s", attention)}
    spectrum_map, attention_map, attended_map = part_maps(outputs, {"s": (2, 3)}, {"s": ((0.5, 0.5), (0.1, 0.1))})[0]
    assert [one.is_spatial for one in (spectrum_map, attention_map, attended_map)] == [False, True, False]
    assert spectrum_map.values[1, 1] == pytest.approx(np.log(4))
    assert np.count_nonzero(spectrum_map.values) == 1
    np.testing.assert_allclose(attention_map.values, attention[0].mean(1).reshape(2, 3), rtol=1e-6)
    np.testing.assert_allclose(attended_map.values[1, 1], attention[0].mean(0)[0], rtol=1e-6)


def test_one_of_several_parts_must_be_named(images):
    name, options, modulators, _ = NETWORKS["daf_mhsca"]
    explainer = TorchExplainer(build(name, options, modulators), card_of(64, network=name))
    with pytest.raises(ModelError, match=r"Several parts have maps; name one. Parts: stage4/afc"):
        explainer.explain(images, "parts")
    with pytest.raises(ModelError, match=r"No part 'heads/0/spacial'. Did you mean 'heads/0/spatial'\?"):
        explainer.explain(images, "parts", "heads/0/spacial")


def test_observing_changes_no_output_and_leaves_nothing(images):
    network = build(*NETWORKS["daf_mhsca"][:3])
    pixels = torch.from_numpy(images)
    with torch.no_grad():
        before = network(pixels)
        with observing(network) as seen:
            during = network(pixels)
    assert torch.equal(before, during)
    assert {part for path, part in seen if not path} == set(network.stage_names)
    assert not any(LISTENER in vars(module) for module in network.modules())


def central(network: Network) -> Network:
    """Return the network with kernels that read their middle alone, so that a position's pixel can be found."""
    network.modulators = nn.ModuleDict()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
                middle = module.kernel_size[0] // 2
                module.weight[:, :, middle, middle] = 1 / module.weight.shape[1]
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"width": 4}),
        ("resnet18", {"width": 4, "stem": "full", "strides": (1, 2, 1, 2)}),
        ("mobilenet_v2", {"width": 0.25}),
        ("ldcnn", {"depth": 8, "growth": 4}),
        ("despam", {"channels": (8, 8, 8), "depths": (1, 1, 1), "features": 8}),
        ("yolov8n_cls", {"width": 0.125, "feature_size": 8}),
    ],
)
def test_positions_lie_where_the_stages_say(name, options):
    network = central(registry.create(name, options=options))
    torch.manual_seed(0)
    side = 96
    # small, so that activations neither saturate nor bend
    images = (1e-4 + 1e-4 * torch.rand(16, 1, side, side)).requires_grad_()
    with observing(network) as seen:
        network(images)
    for stage in network.stages:
        maps = seen["", stage.name]
        inner = maps[:, :, 1:-1, 1:-1]
        (gradient,) = torch.autograd.grad(inner.sum(), images, retain_graph=True)
        pixels = (gradient.sum((0, 1, 2)) @ (torch.arange(side) + 0.5)) / gradient.sum()
        positions = (torch.arange(maps.shape[-1])[1:-1]).float().mean()
        assert float(pixels - stage.stride * positions) == pytest.approx(stage.first, abs=0.3), stage.name
