from __future__ import annotations

import io

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mien.core.errors import ModelError, RecipeError
from mien.models import registry
from mien.models.complexity import count_parameters
from mien.models.modulators.registry import create_modulator
from mien.models.modulators.spam import SPAM
from mien.models.network import Stage

SPAM_STAGE = Stage("stage3", 256, 16)


def on_meta(name: str, **choices):
    with torch.device("meta"):
        return registry.create(name, in_channels=3, **choices)


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("spayolo", 7, 5_745_639),
        ("yolov8s_cls", 7, 5_089_703),
        ("yolov8n_cls", 1000, 2_719_288),
        ("yolov8s_cls", 1000, 6_361_736),
        ("yolov8m_cls", 1000, 17_053_336),
    ],
)
def test_published_sizes(name, classes, count):
    assert count_parameters(on_meta(name, num_classes=classes)) == count


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 655_936),
        ({"use_fft": False}, 655_936 - 2 * 256),
        ({"use_multi_scale": False}, 296_768),
        ({"form": "elementwise"}, 351_236),
        ({"reduction": 8}, 655_936 - 32 * 513),
    ],
)
def test_sizes_of_the_module(options, count):
    with torch.device("meta"):
        assert count_parameters(SPAM(SPAM_STAGE, **options)) == count


def test_the_baseline_is_the_backbone():
    baseline = on_meta("spayolo", modulators={"stage3": "none"})
    assert baseline.state_dict().keys() == on_meta("yolov8s_cls").state_dict().keys()


def test_stages_are_the_small_ones_and_the_module_stands_at_stride_16():
    network = on_meta("spayolo")
    stages = [(stage.name, stage.channels, stage.stride) for stage in network.stages]
    assert stages == [("stem", 32, 2), ("stage1", 64, 4), ("stage2", 128, 8), ("stage3", 256, 16), ("stage4", 512, 32)]
    assert [len(getattr(network, f"stage{i}")[1].blocks) for i in range(1, 5)] == [1, 2, 2, 1]
    assert list(network.modulators) == ["stage3"]
    assert {(norm.eps, norm.momentum) for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)} == {
        (1e-3, 0.03)
    }


def test_the_norms_momentum_is_an_option():
    network = on_meta("spayolo", options={"norm_momentum": 0.1})
    assert {norm.momentum for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)} == {0.1}


def test_channels_are_rounded_up_to_8_and_limited():
    network = on_meta("yolov8s_cls", options={"width": 0.3, "depth": 1.0, "max_channels": 300})
    assert [stage.channels for stage in network.stages] == [24, 40, 80, 96, 96]
    assert [len(getattr(network, f"stage{i}")[1].blocks) for i in range(1, 5)] == [3, 6, 6, 3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0.0}, "width is 0.0; it must be above 0 and at most 4."),
        ({"depth": -1.0}, "depth is -1.0; it must be above 0 and at most 4."),
        ({"feature_size": 0}, "max_channels and feature_size are 1024 and 0; at least 1 each."),
        ({"norm_momentum": 0.0}, "norm_momentum is 0.0; it must be above 0 and at most 1."),
        ({"widht": 0.5}, "Did you mean 'width'?"),
    ],
)
def test_bad_options_of_the_network(options, words):
    with pytest.raises(RecipeError) as caught:
        registry.create("yolov8s_cls", options=options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reduction": 257}, "reduction is 257; stage 'stage3' allows 1 to 256."),
        ({"form": "written"}, "expected one of 'pairwise', 'elementwise'"),
        ({"use_fft": 1}, "expected bool"),
    ],
)
def test_bad_options_of_the_module(options, words):
    with pytest.raises(RecipeError) as caught:
        create_modulator({"name": "spam", **options}, SPAM_STAGE)
    assert words in str(caught.value)


def test_too_small_an_image_says_the_smallest():
    with pytest.raises(ModelError, match="smallest input is 32 x 32"):
        on_meta("spayolo")(torch.zeros(1, 3, 64, 31, device="meta"))


def test_attention_and_spectrum_can_be_looked_at():
    torch.manual_seed(0)
    maps = torch.randn(2, 16, 5, 7)
    stage = Stage("stage3", 16, 16)
    pairwise, elementwise = SPAM(stage), SPAM(stage, form="elementwise")
    assert pairwise.attention(maps).shape == (2, 35, 35)
    assert elementwise.attention(maps).shape == (2, 16, 5, 7)
    for modulator in (pairwise, elementwise):
        attention = modulator.attention(maps)
        assert 0 < attention.min() < attention.max() < 1
        torch.testing.assert_close(modulator.spectrum(maps), torch.fft.fft2(maps, norm="ortho").real)
    assert torch.equal(SPAM(stage, use_fft=False).spectrum(maps), maps)


@pytest.mark.parametrize("form", ["pairwise", "elementwise"])
def test_half_precision_neither_overflows_nor_loses_the_sums(form):
    torch.manual_seed(0)
    modulator = SPAM(SPAM_STAGE, form=form).eval()
    maps = torch.randn(1, 256, 14, 14).half().float()
    with torch.no_grad():
        wanted = modulator(maps)
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=dtype):
                given = modulator(maps)
                assert modulator((60_000 * maps.sign()).half()).isfinite().all()
            assert given.dtype == torch.float32
            assert torch.equal(given, wanted)


def test_the_network_trains_in_16_bits():
    torch.manual_seed(0)
    network = registry.create("spayolo", options={"width": 0.125, "feature_size": 64})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network(torch.randn(2, 1, 64, 48)).square().mean()
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("form", ["pairwise", "elementwise"])
def test_compilation_without_graph_breaks(form):
    torch.manual_seed(0)
    choice = {"stage3": {"name": "spam", "form": form}}
    network = registry.create("spayolo", options={"width": 0.125, "feature_size": 64}, modulators=choice).eval()
    images = torch.randn(2, 1, 64, 80)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", ["pairwise", "elementwise"])
@torch.no_grad()
def test_the_module_exports_to_standard_operators(form):
    """In an untrained network its part in the logits is too small to see an error."""
    torch.manual_seed(0)
    modulator = SPAM(Stage("stage3", 64, 16), form=form).eval()
    file = io.BytesIO()
    torch.onnx.export(
        modulator,
        (torch.randn(2, 64, 14, 9),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["maps"],
        output_names=["modulated"],
        dynamic_axes={"maps": {0: "n"}, "modulated": {0: "n"}},
    )
    nodes = onnx.load_from_string(file.getvalue()).graph.node
    assert {node.domain for node in nodes} == {""}
    assert not {node.op_type for node in nodes} & {"DFT", "Einsum", "Loop", "If"}
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for n in (1, 8):
        maps = torch.randn(n, 64, 14, 9)
        wanted = modulator(maps).numpy()
        (given,) = session.run(None, {"maps": maps.numpy()})
        assert np.abs(given - wanted).max() < 1e-5 * np.abs(wanted).max()
