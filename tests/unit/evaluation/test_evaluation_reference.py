"""The reference networks: valid files of the right size, and ResNet-18's arithmetic against torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch.nn import functional

from mien.evaluation.reference import mobilenet_v2_onnx, resnet18_onnx
from mien.inference.model import OnnxModel

CASES = {
    # the usual 11,689,512 less 4,800 scales merged by folding, and 993 classes of 512 weights and a bias
    "resnet18": (resnet18_onnx(), 11_175_303, {"Conv": 20, "Add": 8, "Relu": 17}, 1_813_564_928),
    # the usual 3,504,872 less 17,056 scales merged by folding, and 993 classes of 1,280 weights and a bias
    "mobilenet_v2": (mobilenet_v2_onnx(), 2_215_783, {"Conv": 52, "Add": 10, "Clip": 35}, 299_503_232),
}
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)


@pytest.mark.parametrize("name", CASES)
def test_valid_files_of_the_right_size(name: str) -> None:
    content, parameters, operators, multiply_adds = CASES[name]
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert ([i.name for i in model.graph.input], [o.name for o in model.graph.output]) == (["images"], ["logits"])
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    assert sum(math.prod(shape) for shape in shapes.values() if shape) == parameters
    assert Counter(node.op_type for node in model.graph.node) >= Counter(operators)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    sides = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    total = sum(
        math.prod(shapes[node.input[1]]) * math.prod(sides[node.output[0]][2:] if node.op_type == "Conv" else [1])
        for node in model.graph.node
        if node.op_type in {"Conv", "Gemm"}
    )
    assert total == multiply_adds


@pytest.mark.parametrize("name", CASES)
def test_logits_are_finite_and_differ(name: str) -> None:
    logits = OnnxModel(CASES[name][0], "reference").predict(IMAGES).logits
    assert logits.shape == (2, 7)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits[0], logits[1])


def resnet18(x: torch.Tensor, weights: Iterator[torch.Tensor]) -> torch.Tensor:
    """Compute the network from the paper's table, with the stored weights in their order."""

    def convolve(x: torch.Tensor, stride: int) -> torch.Tensor:
        weight, bias = next(weights), next(weights)
        return functional.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    x = functional.max_pool2d(convolve(x, 2).relu(), 3, stride=2, padding=1)
    for stride in (1, 1, 2, 1, 2, 1, 2, 1):
        y = convolve(convolve(x, stride).relu(), 1)
        x = (y + (x if stride == 1 else convolve(x, stride))).relu()
    return x.mean(dim=(2, 3)) @ next(weights) + next(weights)


def test_it_computes_resnet18_with_he_initialisation() -> None:
    content = CASES["resnet18"][0]
    weights = [numpy_helper.to_array(w).copy() for w in onnx.load_from_string(content).graph.initializer]
    for weight in (weight for weight in weights if weight.ndim == 4):
        assert weight.std() == pytest.approx(math.sqrt(2 / math.prod(weight.shape[1:])), rel=0.05)
    with torch.inference_mode():
        expected = resnet18(torch.from_numpy(IMAGES), iter(map(torch.from_numpy, weights))).numpy()
    logits = OnnxModel(content, "reference").predict(IMAGES).logits
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    assert resnet18_onnx() == content
    assert resnet18_onnx(seed=1) != content
