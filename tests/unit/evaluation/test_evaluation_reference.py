"""The reference network: a valid file of the right size, and its arithmetic against torch."""

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

from mien.evaluation.reference import resnet18_onnx
from mien.inference.model import OnnxModel

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)


@pytest.fixture(scope="module")
def content() -> bytes:
    return resnet18_onnx()


def test_a_valid_file_of_the_right_size(content: bytes) -> None:
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert ([i.name for i in model.graph.input], [o.name for o in model.graph.output]) == (["images"], ["logits"])
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    # the usual 11,689,512 less 4,800 scales merged by folding, and 993 classes of 512 weights and a bias
    assert sum(math.prod(shape) for shape in shapes.values()) == 11_175_303
    operators = Counter(node.op_type for node in model.graph.node)
    assert (operators["Conv"], operators["Add"], operators["Relu"]) == (20, 8, 17)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    sides = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    total = sum(
        math.prod(shapes[node.input[1]]) * math.prod(sides[node.output[0]][2:] if node.op_type == "Conv" else [1])
        for node in model.graph.node
        if node.op_type in {"Conv", "Gemm"}
    )
    assert total == 1_813_564_928


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


def test_it_computes_resnet18_with_he_initialisation(content: bytes) -> None:
    weights = [numpy_helper.to_array(w).copy() for w in onnx.load_from_string(content).graph.initializer]
    for weight in (weight for weight in weights if weight.ndim == 4):
        assert weight.std() == pytest.approx(math.sqrt(2 / math.prod(weight.shape[1:])), rel=0.05)
    with torch.inference_mode():
        expected = resnet18(torch.from_numpy(IMAGES), iter(map(torch.from_numpy, weights))).numpy()
    logits = OnnxModel(content, "reference").predict(IMAGES).logits
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    assert resnet18_onnx() == content
    assert resnet18_onnx(seed=1) != content
