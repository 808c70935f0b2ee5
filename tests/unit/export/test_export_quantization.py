"""Models converted to int8 and half precision: what is in them, how they run, and their logits."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_convolutions import CARD, small_faces, small_network
from tiny_model import tiny_network

from mien.core.errors import ModelError
from mien.export.model_file import with_card
from mien.export.quantization import check_parity, halve, quantize
from mien.inference.model import OnnxModel


@pytest.fixture(scope="module")
def whole() -> bytes:
    return small_network()


@pytest.fixture(scope="module")
def quantized(whole: bytes) -> bytes:
    return with_card(quantize(whole, small_faces()), CARD)


def test_convolutions_run_as_integers(quantized: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    made = onnxruntime.SessionOptions

    def watched():
        options = made()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        return options

    monkeypatch.setattr(onnxruntime, "SessionOptions", watched)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OnnxModel(quantized, "small")
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert operators["QLinearConv"] == 2
    assert operators["QLinearAdd"] == 1
    assert operators["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm"} & set(operators)


def test_weights_are_symmetric_per_channel_and_of_seven_bits(quantized: bytes) -> None:
    model = onnx.load_from_string(quantized)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [tensor for tensor in tensors.values() if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 4]
    assert len(weights) == 2
    for weight in weights:
        values = numpy_helper.to_array(weight).astype(int)
        assert np.abs(values).max() <= 64, "two products of 8 and 7 bits fit in 16 bits"
        assert np.abs(values).reshape(len(values), -1).max(axis=1).min() >= 60, "each channel has a scale of its own"
        zero = tensors[weight.name.replace("_quantized", "_zero_point")]
        assert not numpy_helper.to_array(zero).any()


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_logits_are_nearly_the_same(kind: str, whole: bytes, quantized: bytes) -> None:
    faces = small_faces(64)
    content = quantized if kind == "int8" else with_card(halve(whole), CARD)
    converted = OnnxModel(content, "converted")
    check_parity(converted, faces)
    expected = OnnxModel(whole, "whole").predict(faces).logits
    given = converted.predict(faces).logits
    error = np.abs(given - expected).max() / np.abs(expected).max()
    # without 16-bit kernels onnxruntime computes in 32 bits
    assert error < {"int8": 0.06, "float16": 0.004}[kind]
    assert kind == "float16" or error > 0


def test_half_precision_is_computed_in_16_bits(whole: bytes) -> None:
    model = onnx.load_from_string(halve(whole))
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT16}
    ends = [*model.graph.input, *model.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {TensorProto.FLOAT}, "input and output stay 32 bits"


def test_the_same_faces_give_the_same_file(whole: bytes) -> None:
    assert quantize(whole, small_faces(8)) == quantize(whole, small_faces(8))
    assert quantize(whole, small_faces(8)) != quantize(whole, 3 * small_faces(8)), "the range comes from the faces"


def test_what_cannot_be_quantized_is_refused() -> None:
    with pytest.raises(ModelError, match="with 0 faces"):
        quantize(small_network(), small_faces(0), "small")
    network = tiny_network()
    del network.graph.node[-1]
    network.graph.output[0].CopyFrom(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 2]))
    with pytest.raises(ModelError, match="no convolution and no linear layer"):
        quantize(network.SerializeToString(), np.zeros((1, 1, 48, 48), np.float32), "tiny")


def test_parity_refuses_what_is_not_finite(whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    model = OnnxModel(whole, "small")
    check_parity(model, small_faces())
    monkeypatch.setattr(model, "_run", lambda faces: np.full((len(faces), 7), np.nan, np.float32))
    with pytest.raises(ModelError, match="Not exported"):
        check_parity(model, small_faces())
