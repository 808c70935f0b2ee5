from __future__ import annotations

import io

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mien.models import registry
from mien.models.modulators.spam import SPAM, IdleNorm
from mien.models.network import Stage

SPAM_STAGE = Stage("stage3", 256, 16)


def on_meta(name: str, **choices):
    with torch.device("meta"):
        return registry.create(name, in_channels=3, **choices)


def test_stages_are_the_small_ones_and_the_module_is_at_stride_16():
    network = on_meta("spayolo")
    stages = [(stage.name, stage.channels, stage.stride) for stage in network.stages]
    assert stages == [("stem", 32, 2), ("stage1", 64, 4), ("stage2", 128, 8), ("stage3", 256, 16), ("stage4", 512, 32)]
    assert [len(getattr(network, f"stage{i}")[1].blocks) for i in range(1, 5)] == [1, 2, 2, 1]
    assert list(network.modulators) == ["stage3"]
    norms = [norm for norm in network.modules() if isinstance(norm, nn.BatchNorm2d) and not isinstance(norm, IdleNorm)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


def test_channels_are_rounded_up_to_8_and_limited():
    network = on_meta("yolov8s_cls", options={"width": 0.3, "depth": 1.0, "max_channels": 300})
    assert [stage.channels for stage in network.stages] == [24, 40, 80, 96, 96]
    assert [len(getattr(network, f"stage{i}")[1].blocks) for i in range(1, 5)] == [3, 6, 6, 3]


@pytest.mark.parametrize("form", ["pairwise", "elementwise"])
def test_half_precision_does_not_overflow(form):
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
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.requires_grad)


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
