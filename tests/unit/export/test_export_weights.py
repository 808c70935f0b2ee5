"""8-bit weights: one scale per output channel, standard operators, a quarter of the size, no extra work per face."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.errors import ModelError
from mien.core.expressions import FER2013_LABELS
from mien.export.onnx import make_onnx
from mien.export.weights import round_to_int8, store_int8
from mien.inference.model import OnnxModel
from mien.models import registry


def network(name="resnet18", seed=0):
    torch.manual_seed(seed)
    options = {"width": 16, "stem": "small"} if name == "resnet18" else {}
    made = registry.create(name, num_classes=7, in_channels=1, options=options, modulators={}).eval()
    with torch.no_grad():  # batch norms as after training, so that folding them changes every channel
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.running_var.uniform_(0.5, 2)
    return made


def card(name="resnet18", size=32):
    return ModelCard(name, name, FER2013_LABELS, InputSpec(size, 1), CropSpec())


def test_rounding_is_to_127_steps_a_side_and_per_output_channel():
    layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(5, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        layers[0].weight[1] = 0
        layers[0].weight[2] *= 1000
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    round_to_int8(layers)
    after = layers.state_dict()
    for name in ("0.weight", "1.weight"):
        scale = before[name].flatten(1).abs().amax(1) / 127
        scale = scale.reshape(-1, *[1] * (before[name].ndim - 1))
        assert ((after[name] - before[name]).abs() <= scale * 0.5001).all()
        steps = torch.where(scale > 0, after[name] / scale, after[name])
        assert torch.allclose(steps, steps.round(), atol=1e-4)
        assert steps.abs().max() == pytest.approx(127)
    assert not after["0.weight"][1].any()
    for name in ("0.bias", "1.bias", "2.weight", "2.running_mean"):
        assert torch.equal(after[name], before[name])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2_bam", "despam"])
def test_a_file_is_a_quarter_as_large_and_predicts_as_the_rounded_network(name):
    given = network(name)
    size = 48
    weights = [value.clone() for value in given.state_dict().values()]
    full = make_onnx(given, card(name, size))
    small = make_onnx(given, card(name, size), weight_bits=8)
    assert all(torch.equal(a, b) for a, b in zip(weights, given.state_dict().values(), strict=True))
    assert len(small) < 0.3 * len(full)
    images = np.random.default_rng(0).standard_normal((4, 1, size, size)).astype(np.float32)
    rounded = given.folded().eval()
    round_to_int8(rounded)
    with torch.inference_mode():
        expected = rounded(torch.from_numpy(images)).numpy()
    got = OnnxModel(small, "small").predict(images).logits
    assert np.allclose(got, expected, atol=1e-4)
    assert not np.array_equal(got, OnnxModel(full, "full").predict(images).logits)


def test_all_convolutions_and_linear_layers_have_a_standard_operator_before_them():
    content = make_onnx(network(), card(), weight_bits=8)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain for entry in model.opset_import} == {""}
    assert model.opset_import[0].version == 17
    stored = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert len(layers) == 21
    assert all(node.input[1] in stored for node in layers)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in stored.values():
        weight, scale, zero = (tensors[name] for name in node.input)
        assert weight.dtype == np.int8
        assert weight.min() >= -127
        assert scale.shape == zero.shape == (weight.shape[node.attribute[0].i],)
        assert not zero.any()


def test_transposed_weights_are_stored_by_their_last_axis():
    generator = np.random.default_rng(0)
    multiples = generator.integers(-127, 128, (32, 8)).astype(np.float32)
    multiples[0] = 127
    weight = multiples * generator.uniform(0.1, 3, 8).astype(np.float32)
    other = generator.standard_normal((32, 8)).astype(np.float32)
    graph = helper.make_graph(
        [], "g", [], [], [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(other, "o")]
    )
    model = helper.make_model(graph)
    store_int8(model)
    (node,) = model.graph.node
    assert (list(node.output), node.attribute[0].i) == (["w"], 1)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert np.array_equal(tensors["w.int8"], multiples.astype(np.int8))
    assert np.array_equal(tensors["o"], other), "what would change keeps 32 bits"


def test_a_file_that_disagrees_with_torch_is_refused():
    given = network()
    with torch.no_grad():
        next(given.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="Not exported: torch and onnxruntime differ by nan"):
        make_onnx(given, card())


def test_an_exported_network_holds_no_constant_twice():
    """The bodies of its loops read constants of the main graph."""
    given = registry.create("mobilenet_v2_hfc", options={"width": 0.35}).eval()
    content = make_onnx(given, card("mobilenet_v2_hfc", 64))
    nodes = [node for node in onnx.load_from_string(content).graph.node if node.op_type == "Constant"]
    values = [node.attribute[0].SerializeToString() for node in nodes]
    assert len(values) == len(set(values)) > 20


@pytest.mark.parametrize("bits", [32, 16, 8])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2_bam"])
def test_features_of_a_file_are_the_network_s(name, bits):
    given = network(name)
    model = OnnxModel(make_onnx(given, card(name, 48), weight_bits=bits), name)
    images = torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = given.features(images).numpy()
    features = model.features(images.numpy())
    difference = np.linalg.norm(features - expected) / np.linalg.norm(expected)
    assert difference < {32: 1e-5, 16: 1e-2, 8: 0.1}[bits]
    assert model.features(images.numpy()[:0]).shape == (0, given.feature_size)
