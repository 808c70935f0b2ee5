"""A small convolutional network whose weights are stored in 16 bits, as those of shipped models are."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.core.card import METADATA_KEY, CropSpec, InputSpec, ModelCard
from mien.core.expressions import FER2013_LABELS

SIDE = 16
CHANNELS = 8
CARD = ModelCard("small", "convolutions", FER2013_LABELS, InputSpec(SIDE, 1), CropSpec())


def small_network(seed: int = 0) -> bytes:
    """Return the bytes of an .onnx file with a card: two convolutions, a shortcut, pooling and a linear layer."""
    generator = np.random.default_rng(seed)
    shapes = {"first": (CHANNELS, 1, 3, 3), "second": (CHANNELS, CHANNELS, 3, 3), "linear": (CHANNELS, 7)}
    weights, nodes = [], []
    for name, shape in shapes.items():
        values = (generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:3]))).astype(np.float16)
        weights.append(numpy_helper.from_array(values, f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    weights.append(numpy_helper.from_array(np.zeros(7, np.float32), "bias"))
    nodes += [
        helper.make_node("Conv", ["images", "first"], ["a"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"], name="second", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "linear", "bias"], ["logits"], name="linear"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 7])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: CARD.to_json()})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def small_faces(count: int = 32) -> np.ndarray:
    """Return noise in place of faces, (count, 1, 16, 16)."""
    return np.random.default_rng(1).standard_normal((count, 1, SIDE, SIDE)).astype(np.float32)
