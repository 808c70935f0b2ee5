"""MobileNetV2 as a reference: a valid file of the right size that can be run."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest

from mien.evaluation.reference import mobilenet_v2_onnx
from mien.inference.model import OnnxModel


@pytest.fixture(scope="module")
def content() -> bytes:
    return mobilenet_v2_onnx()


def test_it_is_mobilenet_v2(content: bytes) -> None:
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    # the usual 3,504,872 less 17,056 scales that folding merges and 993 classes of 1,280 weights and a bias
    assert sum(math.prod(shape) for shape in shapes.values() if shape) == 2_215_783
    operators = [node.op_type for node in model.graph.node]
    assert (operators.count("Conv"), operators.count("Add"), operators.count("Clip")) == (52, 10, 35)


def test_multiply_adds(content: bytes) -> None:
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(content), strict_mode=True)
    sides = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    shapes = {w.name: tuple(w.dims) for w in inferred.graph.initializer}
    total = sum(
        math.prod(shapes[node.input[1]]) * math.prod(sides[node.output[0]][2:] if node.op_type == "Conv" else [1])
        for node in inferred.graph.node
        if node.op_type in {"Conv", "Gemm"}
    )
    assert total == 299_503_232


def test_it_runs(content: bytes) -> None:
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)
    logits = OnnxModel(content, "reference").predict(images).logits
    assert logits.shape == (2, 7)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits[0], logits[1])
