"""The reference networks: of the published size and structure, and the same bytes each time."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import onnx
import pytest

from mien.export.reference import reference_onnx
from mien.inference.model import OnnxModel


@pytest.mark.parametrize(
    ("network", "parameters", "operators"),
    [
        # 11,689,512 less 4,800 scales merged by folding, and 993 classes of 512 weights and a bias
        ("resnet18", 11_175_303, {"Conv": 20, "Add": 8, "Relu": 17, "Gemm": 1}),
        # 3,504,872 less 17,056 scales, and 993 classes of 1,280 weights and a bias
        ("mobilenet_v2", 2_215_783, {"Conv": 52, "Add": 10, "Clip": 35, "Gemm": 1}),
    ],
)
def test_size_and_structure(network: str, parameters: int, operators: dict[str, int]) -> None:
    content = reference_onnx(network)
    graph = onnx.load_from_string(content).graph
    assert sum(math.prod(weight.dims) for weight in graph.initializer) == parameters
    assert operators.items() <= Counter(node.op_type for node in graph.node).items()
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)
    logits = OnnxModel(content, "reference").predict(images).logits
    assert logits.shape == (2, 7)
    assert np.isfinite(logits).all()
    assert reference_onnx(network) == content
