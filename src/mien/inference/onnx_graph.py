"""Find the features in a network's .onnx file, and make them an output, without the package onnx.

A file is a protocol buffer (onnx.proto). Readers merge a message that occurs twice: repeated fields are joined. So an
output is added by appending a second graph that has nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from mien.core.errors import ModelError

# The numbers of fields.
MODEL_GRAPH, GRAPH_NODE, GRAPH_OUTPUT, VALUE_NAME = 7, 1, 12, 1
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR = 1, 2, 4
# The sizes of values that have no length before them, by wire type.
FIXED = {1: 8, 5: 4}
LENGTH = 2
LINEAR = ("Gemm", "MatMul")
# What may follow the last linear layer: its bias, and the conversions of quantized and half-precision files.
AFTER_LINEAR = ("Add", "Identity", "Cast", "QuantizeLinear", "DequantizeLinear")


def with_features(data: bytes, source: str, output: str) -> tuple[bytes, str]:
    """Return the file with its features as an output, and their name.

    Args:
        data: The content of an .onnx file.
        source: The file's name in errors.
        output: The name of the logits.

    Raises:
        ModelError: The network does not end in a linear layer.
    """
    name = find_features(data, output)
    if not name:
        raise ModelError(f"{source} does not end in a linear layer, so it has no features.")
    return add_output(data, name), name


def find_features(data: bytes, output: str) -> str:
    """Return the name of the tensor that the last linear layer before an output takes; "" if there is no such layer."""
    nodes: dict[str, tuple[str, list[str]]] = {}
    for graph in _messages(memoryview(data), MODEL_GRAPH):
        for node in _messages(graph, GRAPH_NODE):
            operator = "".join(_texts(node, NODE_OPERATOR))
            nodes |= dict.fromkeys(_texts(node, NODE_OUTPUT), (operator, list(_texts(node, NODE_INPUT))))
    name = output
    while name in nodes:
        operator, inputs = nodes[name]
        if operator in LINEAR:
            return inputs[0]
        if operator not in AFTER_LINEAR:
            break
        # a bias may come first
        name = next((each for each in inputs if each in nodes and nodes[each][0] in (*LINEAR, *AFTER_LINEAR)), "")
    return ""


def add_output(data: bytes, name: str) -> bytes:
    """Return the file with a tensor of its graph as one more output, after the others."""
    return data + _field(MODEL_GRAPH, _field(GRAPH_OUTPUT, _field(VALUE_NAME, name.encode())))


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the values of a field: messages, texts and bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == LENGTH:
            length, at = _varint(data, at)
            if key >> 3 == number:
                yield data[at : at + length]
            at += length
        elif kind in FIXED:
            at += FIXED[kind]
        else:
            _, at = _varint(data, at)


def _texts(data: memoryview, number: int) -> Iterator[str]:
    return (bytes(value).decode() for value in _messages(data, number))


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a number in groups of 7 bits, lowest first, and the position behind it."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def _field(number: int, content: bytes) -> bytes:
    """Return a field that holds a message or a text."""
    return _as_varint(number << 3 | LENGTH) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    groups = [value & 127]
    while value := value >> 7:
        groups[-1] |= 128
        groups.append(value & 127)
    return bytes(groups)
