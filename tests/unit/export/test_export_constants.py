from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import FER2013_LABELS
from mien.export.constants import share_constants
from mien.export.onnx import make_onnx
from mien.models import registry


def constant(name, *values):
    return helper.make_node(
        "Constant", [], [name], value=numpy_helper.from_array(np.array(values, np.float32), f"tensor of {values}")
    )


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])


def model():
    """(x + a) + b + (c if flag else d), with a = b = d and c different; the branches read the main graph."""
    branches = {
        f"{name}_branch": helper.make_graph(nodes, name, [], [value(output)])
        for name, nodes, output in (
            ("then", [helper.make_node("Identity", ["c"], ["then_out"])], "then_out"),
            ("else", [helper.make_node("Mul", ["d", "d"], ["else_out"])], "else_out"),
        )
    }
    nodes = [
        constant("a", 2, 3),
        constant("b", 2, 3),
        constant("c", 2, 4),
        constant("d", 2, 3),
        helper.make_node("Add", ["x", "a"], ["y"]),
        helper.make_node("Add", ["y", "b"], ["z"]),
        helper.make_node("If", ["flag"], ["chosen"], **branches),
        helper.make_node("Add", ["z", "chosen"], ["sum"]),
    ]
    inputs = [value("x"), helper.make_tensor_value_info("flag", TensorProto.BOOL, [1])]
    graph = helper.make_graph(nodes, "test", inputs, [value("sum")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(made, flag):
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array([10, 20], np.float32), "flag": np.array([flag])})[0].tolist()


def constants(made):
    return [node.attribute[0].t.raw_data for node in made.graph.node if node.op_type == "Constant"]


def test_equal_constants_are_stored_once_and_inner_graphs_read_them():
    made = model()
    share_constants(made)
    onnx.checker.check_model(made)
    assert len(constants(made)) == 2
    assert run(made, flag=True) == run(model(), flag=True) == [16, 30]
    assert run(made, flag=False) == run(model(), flag=False) == [18, 35]


def test_a_constant_that_is_an_output_keeps_its_name():
    made = model()
    made.graph.output.append(value("b"))
    share_constants(made)
    onnx.checker.check_model(made)
    assert len(constants(made)) == 3


def test_an_exported_network_holds_no_constant_twice():
    torch.manual_seed(0)
    network = registry.create("mobilenet_v2_hfc", options={"width": 0.35}).eval()
    card = ModelCard("m", "m", FER2013_LABELS, InputSpec(64, 1), CropSpec())
    attributes = [
        node.attribute[0].SerializeToString()
        for node in onnx.load_from_string(make_onnx(network, card)).graph.node
        if node.op_type == "Constant"
    ]
    assert len(attributes) > 20
    assert len(attributes) == len(set(attributes))
