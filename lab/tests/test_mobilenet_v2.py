"""MobileNetV2 as a reference: a valid file of the right size that runs."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import onnx

from lab.benchmarks.mobilenet_v2 import mobilenet_v2_onnx
from mien.inference.model import OnnxModel


def test_a_valid_file_of_the_right_size_that_runs() -> None:
    content = mobilenet_v2_onnx()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    # the usual 3,504,872 less 17,056 scales merged by folding, and 993 classes of 1,280 weights and a bias
    assert sum(math.prod(w.dims) for w in model.graph.initializer if w.dims) == 2_215_783
    operators = Counter(node.op_type for node in model.graph.node)
    assert (operators["Conv"], operators["Add"], operators["Clip"]) == (52, 10, 35)
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)
    logits = OnnxModel(content, "reference").predict(images).logits
    assert logits.shape == (2, 7)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits[0], logits[1])
