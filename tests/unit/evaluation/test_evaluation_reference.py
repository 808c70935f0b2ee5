"""The reference network: a valid file, the right network, arithmetic that agrees with numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch.nn import functional

from mien.evaluation.reference import resnet18_onnx
from mien.inference.model import OnnxModel


@pytest.fixture(scope="module")
def content() -> bytes:
    return resnet18_onnx()


@pytest.fixture(scope="module")
def model(content: bytes) -> onnx.ModelProto:
    return onnx.load_from_string(content)


def test_the_file_is_valid(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert [i.name for i in model.graph.input] == ["images"]
    assert [o.name for o in model.graph.output] == ["logits"]


def test_it_is_resnet18(model: onnx.ModelProto) -> None:
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    # the usual 11,689,512 less 4,800 scales that folding merges and 993 classes of 512 weights and a bias
    assert sum(math.prod(shape) for shape in shapes.values()) == 11_175_303
    operators = [node.op_type for node in model.graph.node]
    assert (operators.count("Conv"), operators.count("Add"), operators.count("Relu")) == (20, 8, 17)


def test_multiply_adds(model: onnx.ModelProto) -> None:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    sides = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            _, _, height, width = sides[node.output[0]]
            total += math.prod(shapes[node.input[1]]) * height * width
        elif node.op_type == "Gemm":
            total += math.prod(shapes[node.input[1]])
    assert total == 1_813_564_928


def test_weights_are_hes(model: onnx.ModelProto) -> None:
    weights = [numpy_helper.to_array(w) for w in model.graph.initializer]
    for weight in weights:
        if weight.ndim == 4:
            assert weight.std() == pytest.approx(math.sqrt(2 / math.prod(weight.shape[1:])), rel=0.05)
        elif weight.ndim == 1:
            assert not weight.any()


def resnet18(x: torch.Tensor, weights: Iterator[torch.Tensor]) -> torch.Tensor:
    """Compute the network once more, from the paper's table and the stored weights in their order."""

    def convolve(x: torch.Tensor, stride: int) -> torch.Tensor:
        weight, bias = next(weights), next(weights)
        return functional.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    x = functional.max_pool2d(convolve(x, 2).relu(), 3, stride=2, padding=1)
    for stride in (1, 1, 2, 1, 2, 1, 2, 1):
        y = convolve(convolve(x, stride).relu(), 1)
        x = (y + (x if stride == 1 else convolve(x, stride))).relu()
    return x.mean(dim=(2, 3)) @ next(weights) + next(weights)


def test_it_computes_resnet18(content: bytes, model: onnx.ModelProto) -> None:
    weights = [torch.from_numpy(numpy_helper.to_array(w).copy()) for w in model.graph.initializer]
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)
    given = OnnxModel(content, "reference").predict(images).logits
    with torch.inference_mode():
        expected = resnet18(torch.from_numpy(images), iter(weights)).numpy()
    assert given.shape == (2, 7)
    np.testing.assert_allclose(given, expected, atol=1e-4 * np.abs(expected).max())


def test_the_seed_decides(content: bytes) -> None:
    assert resnet18_onnx() == content
    assert resnet18_onnx(seed=1) != content
